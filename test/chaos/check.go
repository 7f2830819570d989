package chaos

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// kind says which promise was broken. The list is closed.
type kind string

const (
	lost      kind = "lost"      // an acknowledged report is not in the log
	misplaced kind = "misplaced" // the log has another event where a receipt, or an earlier look, says
	disorder  kind = "disorder"  // acknowledged reports of a device are in the log in another order
	missing   kind = "missing"   // a record of the log is not in the tables, or not whole
	doubled   kind = "doubled"   // a record is in the tables more than once
	rollup    kind = "rollup"    // a rollup differs from its recomputation
	letter    kind = "letter"    // a good record became a dead letter
	ids       kind = "ids"       // the registry's ids changed
	stuck     kind = "stuck"     // the tables did not catch up with the log
	audited   kind = "audit"     // the program's own audit found a difference
	died      kind = "died"      // a process ended by itself, or did not come back
)

// violation is one broken promise.
type violation struct {
	kind   kind
	detail string
}

func (v violation) String() string { return string(v.kind) + ": " + v.detail }

// checker compares what was acknowledged, what the log holds and what the tables hold. It remembers every record it has
// seen, so that a check looks at new ones only, and a whole check notices when an old one has changed.
type checker struct {
	receipts *receipts
	log      *eventlog.Log
	engines  engines
	patience time.Duration // without progress, before what is not stored counts as missing
	stalled  func()        // called then

	seed    maphash.Seed
	ledgers map[eventlog.Partition]*ledger
	ids     string
	checked int // records

	found []violation // by the check under way
}

// ledger is what a partition holds, by offset.
type ledger struct {
	records []seen
	known   map[uint64]struct{} // hashes of the event ids
}

// seen is a record that was read. Where there is none, readings is 0.
type seen struct {
	id       uint64 // hash of the event id
	readings uint32
	// repeats says that an earlier record of the partition has the same event id: it is a report sent again, and is stored as
	// such. The load is never as large as the window within which that is recognised.
	repeats bool
}

func newChecker(r *receipts, log *eventlog.Log, e engines) *checker {
	return &checker{
		receipts: r, log: log, engines: e, patience: 40 * time.Second, stalled: func() {},
		seed: maphash.MakeSeed(), ledgers: map[eventlog.Partition]*ledger{},
	}
}

func (c *checker) violate(k kind, format string, args ...any) {
	c.found = append(c.found, violation{k, fmt.Sprintf(format, args...)})
}

// check looks at everything since the last check, or at everything if whole. The rollups looked at are those of clients whose
// names begin with one of the given texts. An error says that the check could not be made.
func (c *checker) check(ctx context.Context, whole bool, clients string, tell func(string)) ([]violation, error) {
	c.found = nil
	begin := map[eventlog.Partition]eventlog.Offset{}
	for p, l := range c.ledgers {
		begin[p] = eventlog.Offset(len(l.records))
		if whole {
			begin[p] = 0
		}
	}
	ends, err := c.settle(ctx, begin)
	if err != nil {
		return nil, err
	}
	tell("the tables have caught up")
	err = errors.Join(
		c.readLog(ctx, begin),
		c.compareTables(ctx, begin),
		c.compareTotals(ctx, ends),
		c.compareRollups(ctx, clients),
		c.lookForLetters(ctx),
		c.lookAtIDs(ctx),
	)
	return c.found, err
}

// settle waits until the tables hold as many records as the log, or make no progress any more. Nothing is being sent, but
// gateways may still bring in what they were sent before.
func (c *checker) settle(ctx context.Context, begin map[eventlog.Partition]eventlog.Offset) (map[eventlog.Partition]eventlog.Range, error) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	last, since := "", time.Now()
	for {
		ends, err := c.log.Ends(ctx, eventlog.TopicTelemetry)
		if err != nil {
			return nil, err
		}
		rows, err := c.engines.query(ctx, "SELECT count() FROM (SELECT DISTINCT partition, `offset` FROM ("+
			"SELECT partition, `offset` FROM fieldlog.reports UNION ALL SELECT partition, `offset` FROM fieldlog.duplicates) WHERE "+after(begin)+")")
		if err != nil {
			return nil, err
		}
		want := 0
		for p, r := range ends {
			want += int(r.Next - begin[p])
		}
		if rows[0] == fmt.Sprint(want) {
			return ends, nil
		}
		if now := fmt.Sprint(rows, want); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) > c.patience {
			c.violate(stuck, "for %s nothing more was stored: %s records of %d", c.patience, rows[0], want)
			c.stalled()
			return ends, nil // what is missing is named by the comparison
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// after returns the condition of the rows at or behind the given offsets; partitions that are not given count whole.
func after(begin map[eventlog.Partition]eventlog.Offset) string {
	var cases strings.Builder
	for p, o := range begin {
		fmt.Fprintf(&cases, "partition = %d, %d, ", p, o)
	}
	if cases.Len() == 0 {
		return "1"
	}
	return "`offset` >= multiIf(" + cases.String() + "0)"
}

// readLog reads from the given offsets to the end, and compares with the receipts and with what was seen before.
func (c *checker) readLog(ctx context.Context, begin map[eventlog.Partition]eventlog.Offset) error {
	due := c.receipts.take()
	decoder := eventlog.NewDecoder[schemas.TelemetryReported](c.log, schemas.KindTelemetryReported)
	ends, err := c.log.Ends(ctx, eventlog.TopicTelemetry)
	if err != nil {
		return err
	}
	order := map[string][2]int{} // device -> number and offset of its last acknowledged report
	for p, end := range ends {
		options := eventlog.ReadOptions{Topic: eventlog.TopicTelemetry, Partitions: []eventlog.Partition{p}, From: eventlog.FromOffset(begin[p])}
		if held := len(c.ledgers[p].all()); int(end.Next) < held {
			c.violate(lost, "partition %d ends at %d now, and held %d records before", p, end.Next, held)
		}
		if begin[p] >= end.Next {
			continue
		}
		for record, err := range c.log.Read(ctx, options) {
			if err != nil {
				return err
			}
			var event schemas.TelemetryReported
			if err := decoder.Decode(ctx, record, &event); err != nil {
				return err
			}
			c.see(record, &event)
			c.redeem(due, record, event.EventID, order)
		}
	}
	c.protest(due)
	return ctx.Err()
}

// see enters a record into the ledger, or compares it with what is there.
func (c *checker) see(record *eventlog.Record, event *schemas.TelemetryReported) {
	l := c.ledgers[record.Partition]
	if l == nil {
		l = &ledger{known: map[uint64]struct{}{}}
		c.ledgers[record.Partition] = l
	}
	now := seen{id: maphash.String(c.seed, event.EventID), readings: uint32(len(event.Readings))}
	if int(record.Offset) < len(l.records) {
		if before := l.records[record.Offset]; before.id != now.id || before.readings != now.readings {
			c.violate(misplaced, "%v is report %s now, and was another one before", record.Position, event.EventID)
		}
		return
	}
	for len(l.records) < int(record.Offset) { // offsets that hold no event
		l.records = append(l.records, seen{})
	}
	_, now.repeats = l.known[now.id]
	l.known[now.id] = struct{}{}
	l.records = append(l.records, now)
	c.checked++
}

// redeem takes a receipt out when the record is the one it promised. A report that was sent again may be in the log twice; a
// receipt with a position means the one that is there.
func (c *checker) redeem(due map[string]receipt, record *eventlog.Record, id string, order map[string][2]int) {
	r, acknowledged := due[id]
	if !acknowledged || r.at != nil && *r.at != record.Position {
		return
	}
	delete(due, id)
	last, known := order[r.key]
	if known && last[0] > r.number && last[1] < int(record.Offset) {
		c.violate(disorder, "report %s is behind number %d of its device, which was acknowledged later", id, last[0])
	}
	if !known || r.number > last[0] {
		order[r.key] = [2]int{r.number, int(record.Offset)}
	}
}

// protest tells of the receipts that were not redeemed.
func (c *checker) protest(due map[string]receipt) {
	for _, r := range due {
		if r.at != nil && int(r.at.Offset) < len(c.ledgers[r.at.Partition].all()) {
			c.violate(misplaced, "report %s was acknowledged at %v, where another one is", r.id, *r.at)
			continue
		}
		c.violate(lost, "report %s was acknowledged and is not in the log", r.id)
	}
}

// lookForLetters expects none: the load is good.
func (c *checker) lookForLetters(ctx context.Context) error {
	ends, err := c.log.Ends(ctx, eventlog.TopicDeadLetters)
	for p, r := range ends {
		if r.Next > 0 {
			c.violate(letter, "partition %d of the dead letters holds %d", p, r.Next)
		}
	}
	return err
}

func (c *checker) lookAtIDs(ctx context.Context) error {
	now, err := registryIDs(ctx, c.engines.at().Registry)
	if err != nil {
		return err
	}
	if c.ids == "" {
		c.ids = now
	}
	if now != c.ids {
		c.violate(ids, "they were %s and are %s", c.ids, now)
	}
	return nil
}
