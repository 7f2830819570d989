// Package backendtest holds what every backend must pass.
package backendtest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Order returns an order that a backend under test must be able to make.
func Order(client, namespace string) backend.Order {
	return backend.Order{
		ID: "order-" + namespace, Client: client, Namespace: namespace, Environment: "Development", Archtype: "SaaS",
		Hardware: "Shared", Product: "Product-A", Version: 1, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
}

// patience bounds a call; a backend that waits for something slow must be done by then.
const patience = 2 * time.Minute

// Run checks the promises of package backend. State tells, in any text, what the backend has made for a namespace: equal
// texts mean that nothing changed.
func Run(t *testing.T, b backend.Backend, state func(namespace string) string) {
	t.Run("it is made step by step", func(t *testing.T) { steps(t, b) })
	t.Run("doing it again changes nothing", func(t *testing.T) { again(t, b, state) })
	t.Run("a new version is made of the old one", func(t *testing.T) { change(t, b) })
	t.Run("a version that was overtaken changes nothing", func(t *testing.T) { overtaken(t, b, state) })
	t.Run("it is removed, and removed again", func(t *testing.T) { remove(t, b, state) })
	t.Run("what is another client's is not touched", func(t *testing.T) { foreign(t, b, state) })
	t.Run("a call ends with its context", func(t *testing.T) { ended(t, b) })
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// provision does the whole plan.
func provision(t *testing.T, b backend.Backend, o backend.Order) {
	t.Helper()
	for _, step := range b.Plan(o) {
		if err := b.Do(within(t), o, step); err != nil {
			t.Fatalf("do %s of %s: %v", step, o.Namespace, err)
		}
	}
}

func done(t *testing.T, b backend.Backend, o backend.Order, step string) bool {
	t.Helper()
	is, err := b.Done(within(t), o, step)
	if err != nil {
		t.Fatalf("look at %s of %s: %v", step, o.Namespace, err)
	}
	return is
}

func steps(t *testing.T, b backend.Backend) {
	o := Order("cliente01", b.Name()+"-steps")
	plan := b.Plan(o)
	if len(plan) == 0 || !slices.Equal(plan, b.Plan(o)) {
		t.Fatalf("the plan is %q, then %q", plan, b.Plan(o))
	}
	for i, step := range plan {
		if done(t, b, o, step) {
			t.Errorf("step %d, %s, is done before it was", i+1, step)
		}
		if err := b.Do(within(t), o, step); err != nil {
			t.Fatalf("do %s: %v", step, err)
		}
		if !done(t, b, o, step) {
			t.Errorf("step %d, %s, is not done after it was", i+1, step)
		}
	}
}

func again(t *testing.T, b backend.Backend, state func(string) string) {
	o := Order("cliente02", b.Name()+"-again")
	provision(t, b, o)
	before := state(o.Namespace)
	provision(t, b, o)
	if after := state(o.Namespace); before == "" || after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

func change(t *testing.T, b backend.Backend) {
	o := Order("cliente03", b.Name()+"-change")
	provision(t, b, o)
	o.Version, o.Product, o.TraceID = 2, "Product-B", "0af7651916cd43dd8448eb211c80319c"
	plan := b.Plan(o)
	if last := plan[len(plan)-1]; done(t, b, o, last) {
		t.Errorf("%s of version 2 is done while version 1 stands", last)
	}
	provision(t, b, o)
	for _, step := range plan {
		if !done(t, b, o, step) {
			t.Errorf("%s of version 2 is not done", step)
		}
	}
}

// overtaken does what a process does that was stopped in the middle of version 1 and wakes up when version 2 stands.
func overtaken(t *testing.T, b backend.Backend, state func(string) string) {
	late := Order("cliente08", b.Name()+"-overtaken")
	provision(t, b, late)
	o := late
	o.Version, o.Product = 2, "Product-B"
	provision(t, b, o)
	before := state(o.Namespace)
	for _, step := range b.Plan(late) {
		if err := b.Do(within(t), late, step); err == nil {
			t.Errorf("%s of version 1 was done over version 2", step)
		}
	}
	if after := state(o.Namespace); before == "" || after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

func remove(t *testing.T, b backend.Backend, state func(string) string) {
	o := Order("cliente04", b.Name()+"-remove")
	if err := b.Remove(within(t), o); err != nil {
		t.Errorf("remove what was never made: %v", err)
	}
	provision(t, b, o)
	for range 2 {
		if err := b.Remove(within(t), o); err != nil {
			t.Fatalf("remove: %v", err)
		}
	}
	if left := state(o.Namespace); left != "" {
		t.Errorf("after removal there is\n%s", left)
	}
	provision(t, b, o) // the name is free again
}

func foreign(t *testing.T, b backend.Backend, state func(string) string) {
	mine, other := Order("cliente05", b.Name()+"-foreign"), Order("cliente06", b.Name()+"-foreign")
	other.ID = "order-other"
	provision(t, b, mine)
	before := state(mine.Namespace)
	var refusal *backend.Refusal
	if err := b.Do(within(t), other, b.Plan(other)[0]); !errors.As(err, &refusal) || refusal.Reason != backend.ReasonNamespaceTaken {
		t.Errorf("got %v, want a refusal because of %s", err, backend.ReasonNamespaceTaken)
	}
	if err := b.Remove(within(t), other); err != nil {
		t.Errorf("removing what the other has not got: %v", err)
	}
	if after := state(mine.Namespace); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
}

func ended(t *testing.T, b backend.Backend) {
	o := Order("cliente07", b.Name()+"-ended")
	provision(t, b, o)
	o.Version = 2
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := func(what string, err error) {
		t.Helper()
		var refusal *backend.Refusal
		if err == nil || errors.As(err, &refusal) {
			t.Errorf("%s: got %v, want an error that may pass", what, err)
		}
	}
	for _, step := range b.Plan(o) {
		f(step, b.Do(ctx, o, step))
	}
	f("remove", b.Remove(ctx, o))
}
