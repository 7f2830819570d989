// Package eventlog is Fieldlog's log: events in, records out. It is the only package that imports a client of
// Kafka, the schema registry or (in its avro package) Avro. A service that uses it needs to know events, topics and positions.
//
// # Promises
//
//  1. Durable. A nil error from [Batch.Commit] or [Log.Append] means that every in-sync replica has the event
//     (idempotent producer, acks=all, KIP-98). Any other answer names what is known: [ErrOverloaded] and [ErrTooLarge] mean
//     that the log does not have it, [ErrUnconfirmed] that nobody can tell.
//  2. Ordered. Events of one key are appended in the order of Add, and read in that order, from the first hop to the last.
//  3. Bounded. What waits to be sent is bounded in records and in bytes; beyond that Commit answers ErrOverloaded at once.
//  4. Self-describing. Every value is in the Confluent wire format with a registered schema; every record carries
//     CloudEvents headers (Kafka protocol binding, binary mode) and, where there is one, a W3C traceparent.
//  5. Declared. Topics are code ([Topics]); [Log.Setup] creates what is missing, changes nothing that exists, and refuses a
//     topic about orders that has another partition count than declared, and one of telemetry that has another than is asked for.
//  6. Commit after done. [Blocks] commits an offset only after everything before it is stored, and announces a block before
//     it is stored, so that a repeated block is byte for byte the same block.
//  7. Old events stay readable: a value is decoded with the schema that wrote it, whatever today's type looks like.
//  8. All or nothing. What one [Transactor] appends in one transaction is read as a whole or not at all, and two processes
//     that hold the same transaction id cannot both decide.
//  9. Decided once. What a [Process] makes of an input is appended together with the state that reflects it, by the one owner of
//     the partition; no crash, rebalance or reset of a group makes an input count twice.
//
// # Use
//
//	log, err := eventlog.New(eventlog.Config{Brokers: brokers, Registry: url}, logger, registerer)
//	err = log.Setup(ctx)              // topics and schemas
//	batch := log.NewBatch()
//	err = batch.Add(&report)          // encodes at once: report may be reused
//	results := batch.Commit(ctx)      // one result an event, in order
//	batch.Release()
//
//	for record, err := range log.Read(ctx, eventlog.ReadOptions{Topic: "telemetry", From: eventlog.FromStart()}) { ... }
//
// # Ownership of memory
//
// Batch copies what it needs during Add. A [Record] handed to a reader belongs to the reader; one handed to a [Fold] is
// valid until that call returns, and so is every string decoded from it.
package eventlog
