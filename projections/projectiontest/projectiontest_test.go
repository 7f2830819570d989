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
