// Package offsets is the algebra of sets of offsets of one partition, kept as ranges. It is pure.
//
// A [Set] is sorted, its ranges are not empty, do not overlap and do not touch: each set of offsets has exactly one form. A
// set costs 16 bytes a range, however many offsets lie in it.
package offsets

import (
	"cmp"
	"slices"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Set is a set of offsets. The zero Set is empty.
type Set []eventlog.Range

// Of returns the set of what lies in any of the ranges, in whatever order they come. It reuses their memory.
func Of(ranges []eventlog.Range) Set {
	slices.SortFunc(ranges, func(a, b eventlog.Range) int { return cmp.Compare(a.First, b.First) })
	set := Set(ranges[:0])
	for _, r := range ranges {
		set = set.Append(r)
	}
	return set
}

// Append returns the set with a range that begins nowhere before its last one does. It is how a set is made in order.
func (s Set) Append(r eventlog.Range) Set {
	if r.First >= r.Next {
		return s
	}
	if n := len(s); n > 0 && r.First <= s[n-1].Next {
		s[n-1].Next = max(s[n-1].Next, r.Next)
		return s
	}
	return append(s, r)
}

// Len returns the number of offsets.
func (s Set) Len() int64 {
	var n int64
	for _, r := range s {
		n += int64(r.Next - r.First)
	}
	return n
}

// Has tells whether o is in the set.
func (s Set) Has(o eventlog.Offset) bool {
	i, found := slices.BinarySearchFunc(s, o, func(r eventlog.Range, o eventlog.Offset) int { return cmp.Compare(r.First, o) })
	return found || i > 0 && o < s[i-1].Next
}

// Within returns what of the set lies in r. The result has memory of its own.
func (s Set) Within(r eventlog.Range) Set { return s.And(Set{}.Append(r)) }

// And returns what is in both sets.
func (s Set) And(t Set) Set {
	var both Set
	for i, j := 0, 0; i < len(s) && j < len(t); {
		both = both.Append(eventlog.Range{First: max(s[i].First, t[j].First), Next: min(s[i].Next, t[j].Next)})
		if s[i].Next < t[j].Next {
			i++
		} else {
			j++
		}
	}
	return both
}

// Or returns what is in any of the two sets.
func (s Set) Or(t Set) Set {
	either := make(Set, 0, len(s)+len(t))
	for i, j := 0, 0; i < len(s) || j < len(t); {
		if j == len(t) || i < len(s) && s[i].First <= t[j].First {
			either = either.Append(s[i])
			i++
		} else {
			either = either.Append(t[j])
			j++
		}
	}
	return either
}

// Without returns what is in s and not in t.
func (s Set) Without(t Set) Set {
	var left Set
	j := 0
	for _, r := range s {
		for j < len(t) && t[j].Next <= r.First {
			j++
		}
		for k := j; k < len(t) && t[k].First < r.Next; k++ {
			left = left.Append(eventlog.Range{First: r.First, Next: t[k].First})
			r.First = max(r.First, t[k].Next)
		}
		left = left.Append(r)
	}
	return left
}
