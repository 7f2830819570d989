package auditor

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// findings are the ranges of each kind and partition in one table.
type findings map[finding][]eventlog.Range

type finding struct {
	kind      Kind
	partition eventlog.Partition
}

func (f findings) add(k Kind, p eventlog.Partition, ranges ...eventlog.Range) {
	f[finding{k, p}] = append(f[finding{k, p}], ranges...)
}

// compare holds ClickHouse against the log.
func (r *run) compare(ctx context.Context, a *account, c *chunk) error {
	ranges := a.comparable(c.ranges)
	if len(ranges) == 0 {
		return nil
	}
	absent := map[eventlog.Partition]offsets.Set{}
	for _, t := range []table{a.stored.reports(), a.stored.readings()} {
		found, err := r.compareTable(ctx, a, c, t, ranges)
		if err != nil {
			return err
		}
		r.report(a, t, found, absent)
	}
	for p, set := range absent {
		c.parts[p].row.Stored -= set.Len()
	}
	for at := range c.mended {
		row := &c.parts[at.partition].row
		row.Stored, row.DeadLetters = row.Stored+1, row.DeadLetters-1
	}
	return nil
}

// compareTable finds what differs in one table.
func (r *run) compareTable(ctx context.Context, a *account, c *chunk, t table, ranges map[eventlog.Partition]eventlog.Range) (findings, error) {
	got, err := a.stored.sums(ctx, t, ranges)
	if err != nil {
		return nil, err
	}
	found, mended := findings{}, c.mendedPlaces()
	var closer []place
	for _, at := range placesOf(c.want, got) {
		want, partly := c.wanted(at, t)
		verdict := judge(want, got[at])
		if partly && verdict != same || t.name == "readings" && mended[at] {
			verdict = lookCloser
		}
		whole := at.within(ranges[at.partition])
		switch verdict {
		case nothing:
			found.add(Missing, at.partition, c.expected(at.partition, whole)...)
		case everythingTwice:
			found.add(Doubled, at.partition, c.expected(at.partition, whole)...)
		case lookCloser:
			closer = append(closer, at)
		case same:
		}
	}
	return found, r.lookCloser(ctx, a, c, t, rounds(closer, ranges), found)
}

// mendedPlaces are the buckets with dead letters that are stored: reports, which are compared first, had them.
func (c *chunk) mendedPlaces() map[place]bool {
	places := map[place]bool{}
	for at := range c.mended {
		places[placeOf(at.partition, at.offset)] = true
	}
	return places
}

// wanted returns the sum that a table must have of a bucket, and whether some of its records have no row there, or need none.
func (c *chunk) wanted(at place, t table) (want sum, partly bool) {
	w := c.want[at]
	switch {
	case w == nil:
		return sum{}, false
	case t.name == "reports":
		return w.reports, w.noReport || w.letters
	}
	return w.readings, w.noReading || w.letters
}

// expected are the offsets of a range that ClickHouse must have.
func (c *chunk) expected(p eventlog.Partition, within eventlog.Range) offsets.Set {
	return c.parts[p].present.Within(within).Without(c.parts[p].absent)
}

func placesOf(want map[place]*wanted, got map[place]sum) []place {
	all := slices.Collect(maps.Keys(want))
	for at := range got {
		if want[at] == nil {
			all = append(all, at)
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.bucket, b.bucket))
	})
	return all
}

// report names what was found in a table, and collects what is not in it.
func (r *run) report(a *account, t table, found findings, absent map[eventlog.Partition]offsets.Set) {
	keys := slices.SortedFunc(maps.Keys(found), func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.partition, b.partition), cmp.Compare(a.kind, b.kind))
	})
	for _, key := range keys {
		set := offsets.Of(found[key])
		if key.kind == Missing {
			absent[key.partition] = absent[key.partition].Or(set)
		}
		r.result.name(Difference{Kind: key.kind, Table: t.name, Topic: a.topic, TopicID: a.id, Partition: key.partition}, set)
	}
}
