// Package deadletters is the desk at which an operator looks at dead letters and decides about them: list, show, redrive, discard.
//
// What is known of a letter is folded from the topic of dead letters by projections/deadletters, one partition after the
// other; nothing else is stored anywhere. A decision is an event on that topic, beside the letter.
//
// # Promises
//
//   - A letter is decided once, however many operators try at the same time, however often a command is repeated, and whatever
//     dies at whatever moment. What a decision does and the event that tells of it are in the log together, or not at all.
//   - A redriven record is the record it was: same topic, partition, key, value and headers, with one more header behind
//     them that tells where it came from (schemas.HeaderRedriven). If the topic was created anew meanwhile, its key decides
//     the partition, as for every new record.
//   - Letters of one topic and key are redriven in their order. One is not redriven while an earlier one is open, unless that
//     one goes before it in the same run.
//   - Memory is bounded by about a hundred bytes a letter of one partition, and by the records of one transaction (8 MiB, or one
//     record).
//
// # How a letter is decided, and what a crash leaves behind after each step
//
//  1. The desk takes over the transaction id "deadletters". Whoever held it can append nothing from then on.
//  2. It reads a partition of dead letters to its end, which has every decision that was ever made. Crash: nothing happened.
//  3. It plans: which of the chosen letters are open, in which order, which wait. Records that were too large for their letter are
//     read from their topic. Crash: nothing happened.
//  4. In one transaction it appends the records to their topics and, beside each letter, the event that closes it. Crash:
//     both are aborted. Services that read the topic do not see them.
//  5. The transaction is committed: both are in the log. Crash: the next run finds the letters closed.
//
// Steps 3 to 5 are repeated for the next letters. Another desk that begins at step 1 meanwhile ends this one with
// eventlog.ErrFenced: what it told of is done, the rest is not.
//
// # What a redrive does not promise
//
// The order of a key is that of the log: a record that is redriven comes after what was appended since. And a record that
// fails once more, after others of its key were redriven behind it, goes behind them when it is redriven again.
package deadletters
