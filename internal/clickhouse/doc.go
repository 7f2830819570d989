// Package clickhouse is the only package that imports a client of ClickHouse. It talks HTTP to a server, a cluster, or the engine
// that is embedded in Fieldlog: all are the same to it. Others write SQL.
//
// Promises:
//
//   - [New] is inert. A [Client] is safe for concurrent use and keeps its connections.
//   - [Client.Insert] sends exactly one block, and has settings which make that one part of the table, and one part of
//     every table that is fed by it through a materialized view. It returns nil only after the server has said that
//     all of it is stored. With an equal token it stores an equal block once, however often it is called, as long as
//     the token is within the table's deduplication window.
//   - Columns are sent from the caller's slices, without copying; they may be reused once Insert has returned.
//   - Every error has a [Class], which tells a bad world (try again later) from a mistake of ours.
//   - [Client.Apply] brings a schema up to date, runs no version twice and refuses a database that is newer than the program.
//
// A token removes what is there already only if it comes with the same rows in the same order for the same partition
// value: ClickHouse does not look at the rows. And a block that spans two partition values would be two parts, of
// which a dependent table can lose the second when the insert is repeated. The caller sends one partition value a call.
package clickhouse
