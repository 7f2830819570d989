package projectiontest

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// State is a fold that keeps what it knows, instead of handing out blocks of rows.
type State[E any] interface {
	// Apply folds the event at an offset. Offsets may go back, as after a crash; what was folded before changes nothing.
	Apply(offset int64, event E)
	// Rows returns the state, an entry a line.
	Rows() []string
}

// RunState runs the suite of states: a replay makes what the first run made, twice is once, wherever it goes back to.
func RunState[E any](t *testing.T, newState func() State[E], events []E) {
	t.Helper()
	want := foldRange(newState(), events, 0, len(events))
	if len(events) < 3 || len(want) == 0 {
		t.Fatalf("%d events that make %d entries prove nothing", len(events), len(want))
	}
	f := func(name string, fold func() []string) {
		t.Run(name, func(t *testing.T) {
			if at := difference(fold(), want); at != "" {
				t.Errorf("%s", at)
			}
		})
	}
	f("a replay makes the same", func() []string { return foldRange(newState(), events, 0, len(events)) })
	random := rand.New(rand.NewPCG(1, 2))
	for cut := range len(events) + 1 {
		f(fmt.Sprintf("going back at %d changes nothing", cut), func() []string {
			return foldWithReturn(newState(), events, cut, random.IntN(cut+1))
		})
	}
}

func foldRange[E any](s State[E], events []E, from, to int) []string {
	for i, event := range events[from:to] {
		s.Apply(int64(from+i), event)
	}
	return s.Rows()
}

// foldWithReturn folds up to a place, then goes back and folds to the end.
func foldWithReturn[E any](s State[E], events []E, cut, back int) []string {
	foldRange(s, events, 0, cut)
	return foldRange(s, events, back, len(events))
}
