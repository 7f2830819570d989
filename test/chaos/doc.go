// Package chaos breaks a running installation in every way it knows while reports come in, and then proves that nothing was
// lost and nothing doubled. `make chaos` runs it.
//
// A round is: load and orders with receipts for some seconds, a few faults at moments drawn from the seed, everything healed, and a
// check once the tables have caught up:
//
//   - every acknowledged report is in the log, at its receipt's position if it has one;
//   - reports of one device that were acknowledged one after the other lie in the log in that order;
//   - every record of the log is in ClickHouse exactly once, or noted once as a report that was sent again, and none became a
//     dead letter;
//   - every rollup equals its recomputation from the readings;
//   - "fieldlog audit" says the same;
//   - every acknowledged request about an order is in the log at its receipt's position, and was answered by one fact;
//   - every version of an order ended once: it is ready, abandoned with its reason, or removed; no effect was done twice by the
//     ledger; the clients' states, ClickHouse's view and what stands on the simulated site are what the facts say;
//   - each act changed the site once at most, and the site did none more often than the ledger said beforehand;
//   - the registry's ids are what they were, and no process ended by itself.
//
// Two shapes of installation are broken in turn: "fieldlog up", one process tree with further gateways and workers beside it;
// and separate processes on three Apache Kafka brokers, a real schema registry and a ClickHouse engine. Links between the
// parties go through a fault proxy. Registrars and provisioners, two of each, are processes of their own in the second shape, and
// within the tree in the first.
//
// The site notes an act when it is done: one whose process is killed right then is not counted.
//
// The seed decides which faults happen, to whom, when and for how long. How the processes' work interleaves with them is the
// machine's: a failing seed makes the same faults again, mostly, not always, with the same outcome.
//
// The matrix can fail: mutation_test.go breaks the program in ways that are known to lose or double, and expects to be told.
package chaos
