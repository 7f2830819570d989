// Package duplicates folds the records of one partition into the decision which of them repeat an earlier one. It is pure:
// no I/O, no clock, no randomness, no goroutine.
//
// # The rule
//
// A record takes part if its event id is the sender's own, so that a second record with the same id is the same report sent
// again. Two records are of one report if key, source and event id are equal (CloudEvents: source and id tell an event apart). The record at offset N is a duplicate if the last
// record of the same report before it, at M, is within the window:
//
//	N - M <= Limits.Reports    or    time(N) - time(M) <= Limits.Age
//
// Times are the records' own, in whole seconds. M may be a duplicate itself: otherwise a decision would depend on the one
// before it, and that one on another, without end.
//
// # Promises
//
//   - The decision is a function of the records within the window alone. A [Window] that begins anywhere at or before
//     [Limits.Reach] decides as one that has seen everything, which is how a restart decides as the process before it. This
//     holds while the times of a partition step back by no more than Slack; where they do, the window may be as short as
//     Limits.Reports there.
//   - Two reports are never taken for one: a report is known by 96 bits of SHA-256 over the three, so that a sender can at
//     worst collide with itself. With a million ids in the window a collision takes about 10^22 reports.
//   - Memory is bounded: 32 bytes a record that takes part, at most Limits.Entries of them. Where more fall into the window it
//     becomes shorter, oldest first, the same way in every process; see [Window.Shortened].
//   - Nothing is allocated before the first record, nor per record in the steady state.
package duplicates
