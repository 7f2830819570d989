// Package backend says what a place where modules run must offer the provisioner, whatever it is: a cluster, a chart, a web
// service, a folder.
//
// Promises that every implementation keeps, and backendtest checks:
//
//   - Plan is a pure function of the order: the same order has the same steps in the same order, today and after a restart.
//   - Do and Remove are idempotent: doing again what is done changes nothing and succeeds. So a step that was interrupted may
//     simply be done again.
//   - Done looks and changes nothing.
//   - A version that was overtaken by a later one of the order is not made any more: it is an error, and changes nothing. So a
//     process that was stopped in the middle of it, and wakes up, does no harm.
//   - What belongs to another client is never touched: that is a [Refusal].
//   - Everything that is made carries the order's client, id and trace id, so that it can be found and told apart.
//   - An error that is no Refusal means that trying again may help; [ErrUnready] says beside it that the backend is not to blame.
//     Calls end when ctx does.
package backend

import (
	"context"
	"errors"
	"fmt"
)

// Order is what is to run: one accepted version of a client's order.
type Order struct {
	// ID is unique among all orders.
	ID string
	// Client owns it. A DNS label (RFC 1123), as is Namespace.
	Client string
	// Namespace is where it runs; no two live orders have the same.
	Namespace string
	// Environment is Development, Stage or Production; Archtype SaaS, Edge or On-Prem; Hardware Classic, Dedicated or Shared.
	Environment, Archtype, Hardware string
	// Product names an entry of the catalogue.
	Product string
	// Parameters are the product's own.
	Parameters map[string]string
	// Version counts the order's accepted changes, from 1.
	Version int32
	// Born orders the orders that have one id, each after the one before it was removed: a later one is greater.
	Born int64
	// TraceID is that of the request which placed or changed the order: 32 hexadecimal digits, or empty.
	TraceID string
}

// Backend makes what an order asks for, step by step. It is safe for concurrent use by different orders.
type Backend interface {
	// Name is what events and metrics call it: "kubernetes".
	Name() string
	// Plan returns the names of the steps that make the order so, in the order in which they are done. At least one.
	Plan(o Order) []string
	// Do does one step of the plan and returns when its effect is there.
	Do(ctx context.Context, o Order, step string) error
	// Done tells whether the effect of a step is there for this version of the order. It is asked when an earlier attempt may
	// have acted and nobody knows.
	Done(ctx context.Context, o Order, step string) (bool, error)
	// Remove takes away everything that was made for the order, and returns when it is gone.
	Remove(ctx context.Context, o Order) error
}

// Refusal is an error that no further attempt can mend.
type Refusal struct {
	// Reason is short and stable: "namespace_taken".
	Reason string
	// Err says more.
	Err error
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Reason, r.Err) }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// Refuse makes a Refusal.
func Refuse(reason, format string, args ...any) error {
	return &Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// ErrUnready is wrapped by errors of a backend that works: what this one order runs there does not come up, or is still being worked
// on. Trying again may help. It says nothing about other orders, so it does not open a breaker.
var ErrUnready = errors.New("the workload does not become ready")

// The reasons that several backends share.
const (
	// ReasonNamespaceTaken: the namespace exists and belongs to somebody else.
	ReasonNamespaceTaken = "namespace_taken"
	// ReasonNoTemplate: nothing tells how to make this product.
	ReasonNoTemplate = "no_template"
	// ReasonInvalid: the place where it should run says that it is malformed.
	ReasonInvalid = "invalid"
)
