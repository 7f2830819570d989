package deadletters

import (
	"cmp"
	"slices"
)

// Step is what a plan says of a letter.
type Step struct {
	Letter
	// WaitsFor is the offset of the open letter that must go first; -1 lets this one go.
	WaitsFor int64
}

// Go tells whether the letter may be redriven.
func (s Step) Go() bool { return s.WaitsFor < 0 }

// Before tells whether a letter goes before another of its key.
func (l *Letter) Before(o *Letter) bool {
	return cmp.Or(cmp.Compare(l.rank, o.rank), cmp.Compare(l.Offset, o.Offset)) < 0
}

// Plan returns the chosen letters that are open, in the order in which they are to be redriven. Chosen tells it of the i-th
// of Letters. A letter waits if an open one goes before it that is not chosen; with earlier, those are chosen too.
func (f *Fold) Plan(chosen func(i int) bool, earlier bool) []Step {
	var open []int
	last := map[Lane]int{} // of each lane, the chosen letter that goes last
	for i := range f.letters {
		l := &f.letters[i]
		if l.State != Open {
			continue
		}
		open = append(open, i)
		if before, any := last[l.Lane]; chosen(i) && (!any || f.letters[before].Before(l)) {
			last[l.Lane] = i
		}
	}
	slices.SortFunc(open, func(a, b int) int {
		if f.letters[a].Before(&f.letters[b]) {
			return -1
		}
		return 1
	})
	return f.steps(open, chosen, last, earlier)
}

func (f *Fold) steps(open []int, chosen func(int) bool, last map[Lane]int, earlier bool) []Step {
	var steps []Step
	first := map[Lane]int64{} // of each lane, the letter that others wait for
	for _, i := range open {
		l := &f.letters[i]
		end, concerned := last[l.Lane]
		if !concerned {
			continue
		}
		ordered := l.Lane != Lane{}
		blocker, blocked := first[l.Lane]
		switch {
		case chosen(i) && blocked && ordered:
			steps = append(steps, Step{*l, blocker})
		case chosen(i), earlier && ordered && l.Before(&f.letters[end]):
			steps = append(steps, Step{*l, -1})
		case !blocked:
			first[l.Lane] = l.Offset
		}
	}
	return steps
}
