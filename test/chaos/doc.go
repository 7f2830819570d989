// Package chaos breaks a running installation in every way it knows while reports come in, and then proves that nothing was
// lost and nothing doubled. `make chaos` runs it.
//
// A round is: load with receipts for some seconds, a few faults at moments drawn from the seed, everything healed, and a
// check once the tables have caught up:
//
//   - every acknowledged report is in the log, at its receipt's position if it has one;
//   - reports of one device that were acknowledged one after the other lie in the log in that order;
//   - every record of the log is in ClickHouse exactly once, or noted once as a report that was sent again, and none became a
//     dead letter;
//   - every rollup equals its recomputation from the readings;
//   - "fieldlog audit" says the same;
//   - the registry's ids are what they were, and no process ended by itself.
//
// Two shapes of installation are broken in turn: "fieldlog up", one process tree with further gateways and workers beside it;
// and separate processes on three Apache Kafka brokers, a real schema registry and a ClickHouse engine. Links between the
// parties go through a fault proxy.
//
// The seed decides which faults happen, to whom, when and for how long. How the processes' work interleaves with them is the
// machine's: a failing seed makes the same faults again, mostly, not always, with the same outcome.
//
// The matrix can fail: mutation_test.go breaks the program in ways that are known to lose or double, and expects to be told.
package chaos
