// Package projectiontest is the conformance suite that every projection passes: what it makes of a stream of events must
// depend on the events alone.
package projectiontest

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Projection is what the suite tests: a fold of one partition's events into rows.
type Projection[E any] interface {
	// Apply folds the event at an offset.
	Apply(offset int64, event E)
	// Rows returns the rows folded since the last Reset, each as a line of text.
	Rows() []string
	// Reset empties the projection, as after a block was stored.
	Reset()
}

// Subject is a projection and a stream to test it with.
type Subject[E any] struct {
	// New returns an empty projection.
	New func() Projection[E]
	// Events are a partition's, in order: all kinds, and enough to be cut at many places.
	Events []E
}

// Run runs the suite.
func Run[E any](t *testing.T, s Subject[E]) {
	t.Helper()
	want := s.whole(s.New())
	if len(s.Events) < 3 || len(want) == 0 {
		t.Fatalf("%d events that make %d rows prove nothing", len(s.Events), len(want))
	}
	check := func(t *testing.T, got []string) {
		t.Helper()
		if at := difference(got, want); at != "" {
			t.Errorf("%d rows, want %d; first difference: %s", len(got), len(want), at)
		}
	}
	t.Run("a replay makes the rows that the first run made", func(t *testing.T) { check(t, s.whole(s.New())) })
	t.Run("a projection that was used before makes the same rows", func(t *testing.T) {
		p := s.New()
		for range 3 {
			check(t, s.whole(p))
			p.Reset()
		}
	})
	t.Run("one cut anywhere changes nothing", func(t *testing.T) {
		p := s.New()
		for cut := range s.Events {
			check(t, s.cut(p, []int{cut}))
		}
	})
	t.Run("any cuts change nothing", func(t *testing.T) {
		p := s.New()
		random := rand.New(rand.NewPCG(1, 2))
		for range 50 {
			check(t, s.cut(p, cuts(random, len(s.Events))))
		}
	})
}

// whole returns the rows of all events in one block, sorted.
func (s Subject[E]) whole(p Projection[E]) []string { return s.cut(p, nil) }

// cut returns the rows of the blocks that end before the given places, sorted together. It leaves p with the last block.
func (s Subject[E]) cut(p Projection[E], places []int) []string {
	p.Reset()
	var rows []string
	for i, event := range s.Events {
		if slices.Contains(places, i) {
			rows = append(rows, p.Rows()...)
			p.Reset()
		}
		p.Apply(int64(i), event)
	}
	rows = append(rows, p.Rows()...)
	slices.Sort(rows)
	return rows
}

func cuts(random *rand.Rand, n int) []int {
	places := make([]int, 1+random.IntN(n))
	for i := range places {
		places[i] = random.IntN(n)
	}
	return places
}

// difference describes the first row that only one side has; empty if there is none.
func difference(got, want []string) string {
	for i := 0; i < len(got) || i < len(want); i++ {
		switch {
		case i >= len(got):
			return "missing " + want[i]
		case i >= len(want):
			return "surplus " + got[i]
		case got[i] != want[i]:
			return "got " + got[i] + ", want " + want[i]
		}
	}
	return ""
}
