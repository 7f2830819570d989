package projectiontest

import (
	"fmt"
	"testing"
)

// sums is a projection that keeps the rule: a row an event.
type sums struct{ rows []string }

func (s *sums) Apply(offset int64, event int) { s.rows = append(s.rows, fmt.Sprint(offset, event)) }
func (s *sums) Rows() []string                { return s.rows }
func (s *sums) Reset()                        { s.rows = nil }

// forgetful keeps a count across blocks, which makes its rows depend on where the stream is cut.
type forgetful struct{ n int }

func (s *forgetful) Apply(int64, int) { s.n++ }
func (s *forgetful) Rows() []string   { return []string{fmt.Sprint(s.n)} }
func (s *forgetful) Reset()           { s.n = 0 }

func TestAGoodProjectionPasses(t *testing.T) {
	Run(t, Subject[int]{New: func() Projection[int] { return &sums{} }, Events: []int{5, 6, 7, 8}})
}

func TestABadProjectionIsFound(t *testing.T) {
	s := Subject[int]{New: func() Projection[int] { return &forgetful{} }, Events: []int{5, 6, 7, 8}}
	if difference(s.cut(s.New(), []int{2}), s.whole(s.New())) == "" {
		t.Error("a projection that depends on the cut was not found")
	}
	if difference([]string{"a"}, []string{"a", "b"}) != "missing b" || difference([]string{"a", "b"}, []string{"a"}) != "surplus b" {
		t.Error("rows of one side were not found")
	}
}

// total is a state that keeps the rule; doubling is one that counts an event again.
type total struct{ sum, next int }

func (s *total) Apply(offset int64, event int) {
	if int(offset) >= s.next {
		s.sum, s.next = s.sum+event, int(offset)+1
	}
}
func (s *total) Rows() []string { return []string{fmt.Sprint(s.sum)} }

type doubling struct{ total }

func (s *doubling) Apply(_ int64, event int) { s.sum += event }

func TestAGoodStatePasses(t *testing.T) {
	RunState(t, func() State[int] { return &total{} }, []int{5, 6, 7, 8})
}

func TestABadStateIsFound(t *testing.T) {
	events := []int{5, 6, 7, 8}
	if difference(foldWithReturn(&doubling{}, events, 3, 1), foldRange(&doubling{}, events, 0, 4)) == "" {
		t.Error("a state that counts twice was not found")
	}
}
