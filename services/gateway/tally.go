package gateway

import (
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// Bounds of a tally. Offsets that follow each other are one range of 16 bytes; what several gateways append in turn is
// not, and neither is what comes out of order, until it is sorted.
const (
	fullRanges = 20_000  // it is written down before its time
	mostRanges = 200_000 // nothing is counted any more: the log has not taken receipts for long
	firstSort  = 1024    // unsorted ranges of a partition that are sorted first
)

// tally is what the log confirmed in an interval. In the steady state counting allocates nothing: memory is used again.
type tally struct {
	begun   time.Time
	counts  map[place]*count
	ranges  int // of all partitions
	dropped int64
}

type place struct {
	topic     eventlog.Topic
	partition eventlog.Partition
}

// count is a tally's share of one partition.
type count struct {
	records, readings int64
	ranges            []eventlog.Range // in no order, of different offsets
	sortAt            int
}

func newTally() *tally { return &tally{counts: map[place]*count{}} }

// add counts a record.
func (t *tally) add(at eventlog.Position, readings int) {
	p := place{at.Topic, at.Partition}
	c := t.counts[p]
	if c == nil {
		c = &count{sortAt: firstSort}
		t.counts[p] = c
	}
	if !c.extend(at.Offset) {
		if len(c.ranges) >= c.sortAt {
			t.ranges -= c.merge()
		}
		if t.ranges >= mostRanges {
			t.dropped++
			return
		}
		c.ranges = append(c.ranges, eventlog.Range{First: at.Offset, Next: at.Offset + 1})
		t.ranges++
	}
	c.records++
	c.readings += int64(readings)
}

// extend makes the last range longer by o, if o touches it.
func (c *count) extend(o eventlog.Offset) bool {
	if len(c.ranges) == 0 {
		return false
	}
	last := &c.ranges[len(c.ranges)-1]
	switch o {
	case last.Next:
		last.Next++
	case last.First - 1:
		last.First--
	default:
		return false
	}
	return true
}

// merge sorts the ranges and joins those that touch. It returns how many fewer they are.
func (c *count) merge() int {
	before := len(c.ranges)
	c.ranges = offsets.Of(c.ranges)
	c.sortAt = max(firstSort, 2*len(c.ranges))
	return before - len(c.ranges)
}

// reset empties the tally. Partitions in which nothing was counted are forgotten.
func (t *tally) reset() {
	for p, c := range t.counts {
		if c.records == 0 {
			delete(t.counts, p)
			continue
		}
		*c = count{ranges: c.ranges[:0], sortAt: firstSort}
	}
	t.ranges, t.dropped = 0, 0
}
