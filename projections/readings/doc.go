// Package readings folds what devices reported into the columns of three tables: readings (a row a reading), reports
// (a row a report) and duplicates (a row a report that was sent again), and sums the readings up for the tables that are derived
// from them: rollups by minute, hour and day, and the last reading of each device's metrics ([Summary]). It is pure: no I/O, no
// clock, no randomness, no goroutine.
//
// Promises:
//
//   - The rows are a function of the records alone: not of when they are folded, nor of where the stream is cut into
//     blocks. Every row tells the offset it came from and the index within that record.
//   - Rows are grouped by month, which is the partition value of the tables, so that one group can be stored by one insert
//     that makes one part: a reading by the month of its time, a report by the month in which it was received, a duplicate by
//     the month in which it was appended, UTC.
//   - A record is folded whole or not at all. [Block.Add] returns a [*Violation] for a report that breaks a rule, and
//     the block is then as it was.
//   - Add copies what it keeps. Strings of the report may point into memory that is reused afterwards.
//   - In the steady state (a [Block] that is used again after Reset) nothing is allocated.
//
// The columns are plain slices, valid until Reset, so that a client can send them without copying. Texts that repeat are
// coded: an index into a dictionary of the month (ClickHouse's LowCardinality).
package readings
