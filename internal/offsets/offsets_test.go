package offsets_test

import (
	"slices"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// naive is the same thing as a map.
type naive map[eventlog.Offset]bool

// sets reads two sets from bytes, three a range: which set, where it begins, how long it is.
func sets(data []byte) (ranges [2][]eventlog.Range, want [2]naive) {
	want = [2]naive{{}, {}}
	for ; len(data) >= 3; data = data[3:] {
		which, first := data[0]%2, eventlog.Offset(data[1])
		r := eventlog.Range{First: first, Next: first + eventlog.Offset(data[2]%16)}
		ranges[which] = append(ranges[which], r)
		for o := r.First; o < r.Next; o++ {
			want[which][o] = true
		}
	}
	return ranges, want
}

// check compares a set with the offsets it must hold, and demands its one form.
func check(t *testing.T, what string, got offsets.Set, want func(eventlog.Offset) bool) {
	t.Helper()
	n := int64(0)
	for o := eventlog.Offset(-1); o < 300; o++ {
		if got.Has(o) != want(o) {
			t.Fatalf("%s: has %d is %v, in %v", what, o, got.Has(o), got)
		}
		if want(o) {
			n++
		}
	}
	if got.Len() != n {
		t.Fatalf("%s: got %d offsets, want %d, in %v", what, got.Len(), n, got)
	}
	for i, r := range got {
		if r.First >= r.Next || i > 0 && r.First <= got[i-1].Next {
			t.Fatalf("%s is not in its one form: %v", what, got)
		}
	}
}

func FuzzAgainstAMap(f *testing.F) {
	f.Add([]byte{0, 10, 5, 0, 12, 9, 1, 14, 2, 1, 0, 15, 0, 30, 0, 1, 21, 3, 0, 19, 1})
	f.Add([]byte{0, 0, 15, 1, 2, 1, 1, 4, 1, 1, 6, 1, 0, 15, 15})
	f.Fuzz(func(t *testing.T, data []byte) {
		ranges, want := sets(data)
		a, b := offsets.Of(ranges[0]), offsets.Of(ranges[1])
		keptA, keptB := slices.Clone(a), slices.Clone(b)
		check(t, "a", a, func(o eventlog.Offset) bool { return want[0][o] })
		check(t, "a or b", a.Or(b), func(o eventlog.Offset) bool { return want[0][o] || want[1][o] })
		check(t, "a and b", a.And(b), func(o eventlog.Offset) bool { return want[0][o] && want[1][o] })
		check(t, "a without b", a.Without(b), func(o eventlog.Offset) bool { return want[0][o] && !want[1][o] })
		check(t, "a within", a.Within(eventlog.Range{First: 20, Next: 90}), func(o eventlog.Offset) bool { return want[0][o] && o >= 20 && o < 90 })
		if !slices.Equal(a, keptA) || !slices.Equal(b, keptB) {
			t.Fatal("an operation changed what it was given")
		}
	})
}

func TestAppendMergesWhatTouches(t *testing.T) {
	set := offsets.Set{}.Append(eventlog.Range{First: 3, Next: 5}).Append(eventlog.Range{First: 5, Next: 6}).Append(eventlog.Range{First: 8, Next: 8})
	if want := (offsets.Set{{First: 3, Next: 6}}); !slices.Equal(set, want) {
		t.Errorf("got %v, want %v", set, want)
	}
}
