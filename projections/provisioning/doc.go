// Package provisioning folds what is known about orders into what is still to be done. It is pure: no I/O, no clock.
//
// The state of a partition is folded from three topics, whose partitions of one number hold the same clients:
//
//   - clients says what is to be so: the latest accepted version of each order,
//   - provisioning says how far that is, and what operators decided,
//   - effects says which acts were begun and not ended: those may have happened.
//
// Folding an event again changes nothing, and the order between topics does not matter as long as clients comes before the
// rest: so a provisioner that starts folds one topic after the other and knows what its predecessor knew. What is to be done follows
// from the state alone: that a group's offsets are lost, or a topic is read again, repeats nothing.
package provisioning
