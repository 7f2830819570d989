package projectiontest

import (
	"math/rand/v2"
	"testing"
)

// Fold is what the suite for states tests: a pure function from a state and an event to a state.
type Fold[S, E any] struct {
	// New returns the state before the first event.
	New func() S
	// Apply returns the state after an event, and leaves the state it is given as it is.
	Apply func(S, E) S
	// Stored returns the state as it is after it was stored and read back.
	Stored func(S) S
	// Describe returns all of a state as text.
	Describe func(S) string
	// Events are in order, with their positions: all kinds, and enough to be cut at many places.
	Events []E
}

// RunFold runs the suite for states.
func RunFold[S, E any](t *testing.T, f Fold[S, E]) {
	t.Helper()
	live := f.run(f.New(), f.Events)
	if len(f.Events) < 3 || live[0] == live[len(live)-1] {
		t.Fatalf("%d events that change nothing prove nothing", len(f.Events))
	}
	last := live[len(live)-1]
	check := func(t *testing.T, got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
	t.Run("a replay makes the states that the first run made", func(t *testing.T) {
		for i, got := range f.run(f.New(), f.Events) {
			check(t, got, live[i])
		}
	})
	t.Run("a state that was given is left as it is", func(t *testing.T) {
		state := f.New()
		for i, event := range f.Events {
			before := f.Describe(state)
			next := f.Apply(state, event)
			check(t, f.Describe(state), before)
			check(t, f.Describe(next), live[i])
			state = next
		}
	})
	t.Run("every event twice is every event once", func(t *testing.T) {
		state := f.New()
		for i, event := range f.Events {
			state = f.Apply(f.Apply(state, event), event)
			check(t, f.Describe(state), live[i])
		}
	})
	t.Run("all events again change nothing", func(t *testing.T) {
		again := f.run(f.after(f.New(), f.Events), f.Events)
		check(t, again[len(again)-1], last)
	})
	t.Run("a snapshot anywhere and the tail make the state", func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for cut := range f.Events {
			state := f.Stored(f.after(f.New(), f.Events[:cut]))
			tail := f.Events[random.IntN(cut+1):] // the tail may begin before the snapshot
			check(t, f.Describe(f.after(state, tail)), last)
		}
	})
}

// run returns the states after each event.
func (f Fold[S, E]) run(state S, events []E) []string {
	states := make([]string, 0, len(events))
	for _, event := range events {
		state = f.Apply(state, event)
		states = append(states, f.Describe(state))
	}
	return states
}

func (f Fold[S, E]) after(state S, events []E) S {
	for _, event := range events {
		state = f.Apply(state, event)
	}
	return state
}
