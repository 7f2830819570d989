// Package analytics puts what devices reported into ClickHouse, each reading exactly once, and owns the tables there.
//
// # Tables
//
// Public names are views; behind them are the tables of one generation ("readings_g1"):
//
//	readings                                a row a reading
//	reports                                 a row a report: ids, labels, envelope
//	duplicates                              a row a report that its sender sent again: it has no rows elsewhere
//	readings_1m, readings_1h, readings_1d   count, min, max, sum, avg, last of each client, device and metric; numbers only, not texts
//	order_facts                             a row a fact about an order: decided, provisioned, intervened
//	orders, clients                         views of them: each order's terms, status and time to provision; each client's orders
//	devices                                 when each device was last heard of, and the last value of each of its metrics
//
// "last" is the reading with the highest (time, partition, offset, index): the same whatever the order of inserts. Sums
// of doubles are added in no particular order and may differ in their last bits. Every row of readings and reports tells
// topic, partition and offset.
//
// # Promises
//
//   - Exactly once, in every table and in everything that a materialized view of yours feeds, through the death of any process at
//     any moment, rebalances, and ClickHouse being away. See package eventlog's Blocks for the protocol and Sink for this side.
//   - A report with an id of its sender's own is stored once, however often it is sent within the window of Config.Retries. Which
//     record of it counts is a fold of the partition: every process, every restart and every generation decides the same.
//   - Bad data is never in the way and never lost: a record that is not ours, or breaks a rule of its event, goes to
//     the dead letters with its bytes, position and reason before its block counts as stored. A letter told twice has the same
//     event id. Of a record and the copies that it was redriven as, one is stored.
//   - A bad world is retried with backoff, for as long as it takes. Nothing is dropped.
//   - Memory is bounded: at most two blocks a partition this process owns, each bounded by rows, bytes and age.
//
// # Bounds
//
// A table remembers the tokens of its last DedupWindow inserts, of all writers together. A block is safe to repeat for
// that many inserts: with 64 partitions that each store a block a second, 10,000 are 156 seconds. What is repeated
// after a crash is the block a partition was storing, so the window must span the time in which the other partitions go on
// alone: a restart or a rebalance. Raise it for many partitions or short blocks.
package analytics
