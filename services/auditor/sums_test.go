package auditor

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// TestHashIsClickHouses asks the engine for the hash of the same ranks.
func TestHashIsClickHouses(t *testing.T) {
	ch := clickhousetest.Open(t, clickhousetest.Config(t))
	f := func(o eventlog.Offset, low int) {
		t.Helper()
		var got uint64
		query := fmt.Sprintf("SELECT "+hashExpression("low")+" FROM (SELECT toUInt64(%d) AS `offset`, toUInt32(%d) AS low)", o, low)
		if err := ch.Scan(t.Context(), query, &got); err != nil {
			t.Fatal(err)
		}
		if want := hashed(o, low); got != want {
			t.Errorf("hash of %d, %d: got %d from ClickHouse, want %d", o, low, got, want)
		}
	}
	f(0, 0)
	f(1, 0)
	f(0, 1)
	f(1<<44-1, 1<<20-1)
	f(123456789, 4711)
}

func TestJudge(t *testing.T) {
	row := func(o eventlog.Offset, index int) sum { return sum{1, hashed(o, index)} }
	of := func(rows ...sum) (all sum) {
		for _, r := range rows {
			all.add(r)
		}
		return all
	}
	a, b, c := row(1, 0), row(1, 1), row(2, 0)
	f := func(want, got sum, verdict verdict) {
		t.Helper()
		if v := judge(want, got); v != verdict {
			t.Errorf("got %v, want %v", v, verdict)
		}
	}
	f(of(a, b, c), of(c, b, a), same)
	f(of(), of(), same)
	f(of(a, b), of(), nothing)
	f(of(a, b), of(a, b, b, a), everythingTwice)
	f(of(a, b), of(a), lookCloser)
	f(of(a, b), of(a, a), lookCloser) // one doubled and one missing: as many rows
	f(of(a, b), of(a, c), lookCloser)
	f(of(a, b), of(a, b, c), lookCloser)
	f(of(), of(a), lookCloser)
}

func TestDiffer(t *testing.T) {
	rows := func(indexes ...int) (t tally) {
		seen := map[int]bool{}
		for _, i := range indexes {
			t.add(sum{1, hashed(7, i)})
			seen[i] = true
		}
		t.distinct = uint64(len(seen))
		return t
	}
	f := func(got tally, want ...Kind) {
		t.Helper()
		if kinds := differ(rows(0, 1, 2).sum, got); !slices.Equal(kinds, want) {
			t.Errorf("got %v, want %v", kinds, want)
		}
	}
	f(rows(0, 1, 2))
	f(rows(), Missing)
	f(rows(0, 2), Missing)
	f(rows(0, 1, 2, 2), Doubled)
	f(rows(0, 1, 1), Missing, Doubled)
	f(rows(0, 1, 2, 3), Unexpected)
	f(rows(0, 1, 3), Missing, Unexpected)
	f(rows(0, 1, 2, 3, 3), Doubled, Unexpected)
}

func TestRoundsHaveOneBucketAPartition(t *testing.T) {
	ranges := map[eventlog.Partition]eventlog.Range{0: {First: 10, Next: 9000}, 1: {First: 0, Next: 5000}}
	got := rounds([]place{{0, 0}, {0, 2}, {1, 1}}, ranges)
	if len(got) != 2 || got[0][0] != (eventlog.Range{First: 10, Next: 4096}) || got[0][1] != (eventlog.Range{First: 4096, Next: 5000}) || got[1][0] != (eventlog.Range{First: 8192, Next: 9000}) {
		t.Errorf("got %v", got)
	}
}
