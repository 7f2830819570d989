// Package deadletters folds one partition of the topic of dead letters into what is known of each letter: whether it is open,
// was redriven or was discarded, and which letters of its key go before it. It is pure: no I/O, no clock, no randomness.
//
// Promises:
//
//   - The state is a function of the partition's events alone. An event that is folded again changes nothing, and a letter that
//     is told twice, as after a crash of the service that wrote it, is one letter: where it was told first.
//   - The first decision about a letter stands. A decision about a letter that is not there changes nothing.
//   - Memory is some hundred bytes a letter, whatever the record is: its bytes stay in the log, at Letter.Offset.
//
// # Order
//
// Letters of one topic and key form a lane. A letter whose record was redriven before stands where the first letter of that
// record stands: it was to be stored then, and what comes later in the key still waits for it. Letters without a key have
// no order among each other.
//
// All letters of a key, and what is decided of them, are in one partition; partitions know nothing of each other.
package deadletters
