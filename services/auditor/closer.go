package auditor

import (
	"context"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// lookCloser compares buckets offset by offset: the log is read again, one bucket of each partition at a time.
func (r *run) lookCloser(ctx context.Context, a *account, c *chunk, t table, rounds []map[eventlog.Partition]eventlog.Range, found findings) error {
	for _, round := range rounds {
		want, err := r.expectedOf(ctx, a, c, t, round)
		if err != nil {
			return err
		}
		got, err := a.stored.offsets(ctx, t, round)
		if err != nil {
			return err
		}
		for at := range union(want, got) {
			for _, kind := range c.differ(t, at, want[at], got[at]) {
				found.add(kind, at.partition, eventlog.Range{First: at.offset, Next: at.offset + 1})
			}
		}
	}
	return nil
}

// expectation is what a table must have of an offset. A dead letter may be there whole, in a generation that came later and could
// handle it.
type expectation struct {
	sum
	letter bool
}

// differ compares one offset. A dead letter that is stored must be stored in both tables.
func (c *chunk) differ(t table, at position, want expectation, got tally) []Kind {
	switch {
	case !want.letter:
		return differ(want.sum, got)
	case t.name == "reports" && got.rows > 0 && got.sum == want.sum:
		c.mended[at] = true
		return nil
	case t.name == "readings" && c.mended[at]:
		return differ(want.sum, got)
	}
	return differ(sum{}, got)
}

// rounds puts buckets together, one a partition.
func rounds(places []place, ranges map[eventlog.Partition]eventlog.Range) []map[eventlog.Partition]eventlog.Range {
	var rounds []map[eventlog.Partition]eventlog.Range
	taken := map[eventlog.Partition]int{}
	for _, at := range places {
		n := taken[at.partition]
		if n == len(rounds) {
			rounds = append(rounds, map[eventlog.Partition]eventlog.Range{})
		}
		rounds[n][at.partition] = at.within(ranges[at.partition])
		taken[at.partition]++
	}
	return rounds
}

// expectedOf returns what a table must have of each offset.
func (r *run) expectedOf(ctx context.Context, a *account, c *chunk, t table, ranges map[eventlog.Partition]eventlog.Range) (map[position]expectation, error) {
	want := map[position]expectation{}
	err := r.shapes(ctx, a, ranges, func(record *eventlog.Record, report *shape) {
		letter := a.letters[record.Partition].Has(record.Offset)
		if !letter && c.parts[record.Partition].absent.Has(record.Offset) {
			return
		}
		expected := a.stored.want(record.Offset, report)
		if t.name == "reports" {
			want[position{record.Partition, record.Offset}] = expectation{expected.reports, letter}
		} else {
			want[position{record.Partition, record.Offset}] = expectation{expected.readings, letter}
		}
	})
	return want, err
}

func union(want map[position]expectation, got map[position]tally) map[position]bool {
	all := make(map[position]bool, len(want)+len(got))
	for at := range want {
		all[at] = true
	}
	for at := range got {
		all[at] = true
	}
	return all
}

// differ says in what ways the rows of one offset are not what they must be.
func differ(want sum, got tally) []Kind {
	if got.sum == want {
		return nil
	}
	var kinds []Kind
	if got.distinct < want.rows {
		kinds = append(kinds, Missing)
	}
	if got.rows > got.distinct {
		kinds = append(kinds, Doubled)
	}
	if got.distinct > want.rows {
		kinds = append(kinds, Unexpected)
	}
	if len(kinds) == 0 { // as many as there should be, but other ones
		kinds = append(kinds, Missing, Unexpected)
	}
	return kinds
}
