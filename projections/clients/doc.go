// Package clients decides what comes of the orders of a client, and folds the facts into the client's state. It is pure: no
// I/O, no clock, no randomness, no goroutine.
//
// Promises:
//
//   - [Decide] makes facts of a state and an input alone; the ids and times of the facts follow from the input's. Only the
//     rules may change from one day to the next (a product that is no longer sold): what was decided is in the facts.
//   - [Apply] makes a state of a state and a fact. The state it is given stays as it is. [Input] and [Progress] are Decide and
//     Apply for a record of the log: one that is folded in already, by its offset or by its event id, changes nothing.
//   - The facts of topic clients and those of topic provisioning are folded into different parts of an order, so that the
//     state does not depend on how the two topics are interleaved, as long as nothing is told of an order before it was accepted.
//   - Nothing in a state grows without bound: [MaxLive] orders that occupy a namespace, [MaxClosed] that no longer do, the
//     last [MaxHandled] inputs, and texts of bounded length. The state of a client fits in a record of the log.
//
// The statuses of an order and the ways between them are a table, [Transitions]; docs/order-lifecycle.md shows it.
package clients
