package auditor

import (
	"context"
	"fmt"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// duplicate is a record that the storer took for an earlier one sent again: it has a row in table duplicates and no other.
type duplicate struct {
	position
	original eventlog.Offset
	rows     uint64
}

// duplicates returns the duplicates of ranges, in no order. They are asked for one by one, because each is a decision.
func (s *stored) duplicates(ctx context.Context, ranges map[eventlog.Partition]eventlog.Range) ([]duplicate, error) {
	query := fmt.Sprintf("SELECT partition, `offset`, max(original), count() FROM %s WHERE %s GROUP BY partition, `offset`",
		s.tables.Duplicates, s.where(table{}, ranges))
	rows, err := s.ch.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("ask for duplicates: %w", err)
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	var all []duplicate
	for rows.Next() {
		var partition uint32
		var offset, original uint64
		var d duplicate
		if err := rows.Scan(&partition, &offset, &original, &d.rows); err != nil {
			return nil, fmt.Errorf("read duplicates: %w", err)
		}
		d.position = position{eventlog.Partition(partition), eventlog.Offset(offset)}
		d.original = eventlog.Offset(original)
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read duplicates: %w", err)
	}
	return all, nil
}

// repeated returns the sets of offsets of duplicates.
func repeated(all []duplicate) map[eventlog.Partition]offsets.Set {
	ranges := map[eventlog.Partition][]eventlog.Range{}
	for _, d := range all {
		ranges[d.partition] = append(ranges[d.partition], eventlog.Range{First: d.offset, Next: d.offset + 1})
	}
	sets := make(map[eventlog.Partition]offsets.Set, len(ranges))
	for p, list := range ranges {
		sets[p] = offsets.Of(list)
	}
	return sets
}

// originals checks a chunk's duplicates: each is told once, is in the log, and repeats a record that is accounted for. A
// duplicate whose original is nowhere is a report that nobody stored.
func (r *run) originals(ctx context.Context, a *account, c *chunk) error {
	found := findings{}
	var open []duplicate
	for _, d := range c.duplicates {
		here := eventlog.Range{First: d.offset, Next: d.offset + 1}
		switch {
		case !c.parts[d.partition].present.Has(d.offset):
			found.add(Unexpected, d.partition, here)
		case d.rows > 1:
			found.add(Doubled, d.partition, here)
		}
		if r.checks(a, d) && !c.repeats[d.partition].Has(d.original) {
			open = append(open, d)
		}
	}
	for _, from := range []string{a.stored.tables.Reports, a.stored.tables.Duplicates} {
		stored, err := a.stored.has(ctx, from, open)
		if err != nil {
			return err
		}
		open = without(open, stored)
	}
	for _, d := range open {
		found.add(Missing, d.partition, eventlog.Range{First: d.offset, Next: d.offset + 1})
	}
	r.report(a, table{name: "duplicates"}, found, map[eventlog.Partition]offsets.Set{})
	return nil
}

// checks tells whether the original of a duplicate can be asked for: it lies in the window, retention has not come near it,
// and it has no letter.
func (r *run) checks(a *account, d duplicate) bool {
	near := !a.stored.tables.ReportsFrom.IsZero() && !r.result.Window.From.After(a.stored.tables.ReportsFrom)
	return !near && d.original >= a.from[d.partition] && !a.letters[d.partition].Has(d.original)
}

func without(all []duplicate, stored map[position]bool) []duplicate {
	var left []duplicate
	for _, d := range all {
		if !stored[position{d.partition, d.original}] {
			left = append(left, d)
		}
	}
	return left
}

// has tells which originals are in a table.
func (s *stored) has(ctx context.Context, from string, all []duplicate) (map[position]bool, error) {
	tuples := make([]string, len(all))
	for i, d := range all {
		tuples[i] = fmt.Sprintf("(%s, %d, %d)", clickhouse.Quote(s.id.String()), d.partition, d.original)
	}
	found, err := s.among(ctx, from, tuples)
	if err != nil {
		return nil, fmt.Errorf("ask for originals of duplicates: %w", err)
	}
	here := make(map[position]bool, len(found))
	for at := range found {
		here[at.position] = true
	}
	return here, nil
}
