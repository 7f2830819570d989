package auditor

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
)

// chunkOffsets bounds the offsets of a partition that are compared at a time.
const chunkOffsets = 1 << 20

// chunk is a range of each partition, as the log holds it.
type chunk struct {
	ranges map[eventlog.Partition]eventlog.Range
	parts  map[eventlog.Partition]*part
	want   map[place]*wanted
	oldest time.Time // of the records that are pending

	redriven   []copied
	duplicates []duplicate
	repeats    map[eventlog.Partition]offsets.Set // their offsets
	mended     map[position]bool                  // dead letters that this generation has stored nevertheless
}

// part is a chunk's share of one partition.
type part struct {
	row     Row
	present offsets.Set
	absent  offsets.Set // what is not to be stored
}

// wanted is what ClickHouse must have of a bucket.
type wanted struct {
	sums
	noReading, noReport bool // some record of it is to have no row in that table
	letters             bool // some record of it is a dead letter
}

// hour compares one hour, chunk by chunk, and adds its rows to the result.
func (r *run) hour(ctx context.Context, a *account, begin time.Time, from, to map[eventlog.Partition]eventlog.Offset) error {
	rows := map[eventlog.Partition]*Row{}
	for done := eventlog.Offset(0); ; done += chunkOffsets {
		ranges := map[eventlog.Partition]eventlog.Range{}
		for p, first := range from {
			if cut := (eventlog.Range{First: first + done, Next: min(first+done+chunkOffsets, to[p])}); cut.First < cut.Next {
				ranges[p] = cut
			}
		}
		if len(ranges) == 0 {
			break
		}
		c, err := r.chunk(ctx, a, ranges)
		if err != nil {
			return err
		}
		for p, part := range c.parts {
			if rows[p] == nil {
				rows[p] = &Row{Topic: a.topic, TopicID: a.id, Partition: p, Hour: begin.UTC(), Range: c.ranges[p]}
			}
			rows[p].add(&part.row, c.ranges[p])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(rows)) {
		r.result.Rows = append(r.result.Rows, *rows[p])
	}
	return nil
}

// add adds the numbers of a chunk to those of its hour.
func (r *Row) add(c *Row, of eventlog.Range) {
	r.Range.Next = of.Next
	r.Accepted, r.Unclaimed = r.Accepted+c.Accepted, r.Unclaimed+c.Unclaimed
	r.Log, r.Readings = r.Log+c.Log, r.Readings+c.Readings
	r.Stored, r.Pending, r.DeadLetters = r.Stored+c.Stored, r.Pending+c.Pending, r.DeadLetters+c.DeadLetters
	r.Copies, r.Expired = r.Copies+c.Copies, r.Expired+c.Expired
}

// chunk holds the accounts of one chunk against each other.
func (r *run) chunk(ctx context.Context, a *account, ranges map[eventlog.Partition]eventlog.Range) (*chunk, error) {
	c, err := r.hold(ctx, a, ranges)
	if err != nil {
		return nil, err
	}
	r.claimed(a, c)
	if a.stored != nil {
		err = r.tables(ctx, a, c)
	}
	if !c.oldest.IsZero() && (r.result.Pending.IsZero() || c.oldest.Before(r.result.Pending)) {
		r.result.Pending = c.oldest
	}
	return c, err
}

// tables holds ClickHouse's tables against a chunk.
func (r *run) tables(ctx context.Context, a *account, c *chunk) error {
	if err := r.settle(ctx, a, c); err != nil {
		return err
	}
	if err := r.originals(ctx, a, c); err != nil {
		return err
	}
	return r.compare(ctx, a, c)
}

// comparable returns the parts of ranges that are stored; none where ClickHouse has nothing of the topic.
func (a *account) comparable(ranges map[eventlog.Partition]eventlog.Range) map[eventlog.Partition]eventlog.Range {
	stored := map[eventlog.Partition]eventlog.Range{}
	if a.stored == nil {
		return stored
	}
	for p, cut := range ranges {
		if cut.Next = min(cut.Next, a.until[p]); cut.First < cut.Next {
			stored[p] = cut
		}
	}
	return stored
}

// hold reads a chunk from the log. If retention takes records away meanwhile, what is left is read again.
func (r *run) hold(ctx context.Context, a *account, ranges map[eventlog.Partition]eventlog.Range) (*chunk, error) {
	for {
		c, err := r.scan(ctx, a, ranges)
		if err != nil {
			return nil, err
		}
		held, err := r.log.Decided(ctx, a.topic)
		if err != nil {
			return nil, err
		}
		whole := true
		for p, cut := range ranges {
			if first := held[p].First; first > cut.First {
				r.result.note("%s/%d: offsets %d-%d were deleted while they were read: not compared", a.topic, p, cut.First, min(first, cut.Next)-1)
				ranges[p], whole = eventlog.Range{First: min(first, cut.Next), Next: cut.Next}, false
			}
		}
		if whole {
			return c, nil
		}
	}
}

// shape is what the audit needs of a report.
type shape struct {
	ReceivedTime schemas.Time `avro:"received_time"`
	Readings     []measured   `avro:"readings"`
}

type measured struct {
	Time schemas.Time `avro:"time"`
}

func (r *run) scan(ctx context.Context, a *account, ranges map[eventlog.Partition]eventlog.Range) (*chunk, error) {
	c := &chunk{ranges: ranges, parts: map[eventlog.Partition]*part{}, want: map[place]*wanted{}, mended: map[position]bool{}}
	for p := range ranges {
		c.parts[p] = &part{}
	}
	if stored := a.comparable(ranges); len(stored) > 0 {
		var err error
		if c.duplicates, err = a.stored.duplicates(ctx, stored); err != nil {
			return nil, err
		}
		c.repeats = repeated(c.duplicates)
	}
	err := r.shapes(ctx, a, ranges, func(record *eventlog.Record, report *shape) {
		c.add(a, record, report)
		r.metrics.records.Inc()
	})
	return c, err
}

// shapes scans ranges. A record that is no report has the shape of one without readings.
func (r *run) shapes(ctx context.Context, a *account, ranges map[eventlog.Partition]eventlog.Range, do func(*eventlog.Record, *shape)) error {
	decoder := eventlog.NewDecoder[shape](r.log, schemas.KindTelemetryReported)
	var report shape
	return r.log.Scan(ctx, a.topic, ranges, func(record *eventlog.Record) error {
		if record.TopicID != a.id {
			return errRecreated
		}
		report.ReceivedTime, report.Readings = 0, report.Readings[:0]
		if a.stored != nil {
			if err := decoder.Decode(ctx, record, &report); err != nil {
				report.ReceivedTime, report.Readings = schemas.TimeOf(record.Timestamp), report.Readings[:0]
				if err := passOver(err); err != nil {
					return err
				}
			}
		}
		do(record, &report)
		return nil
	})
}

// add notes one record.
func (c *chunk) add(a *account, record *eventlog.Record, report *shape) {
	part, at := c.parts[record.Partition], position{record.Partition, record.Offset}
	part.present = part.present.Append(eventlog.Range{First: record.Offset, Next: record.Offset + 1})
	part.row.Log++
	part.row.Readings += int64(len(report.Readings))
	switch {
	case a.stored == nil:
	case record.Offset >= a.until[record.Partition]:
		part.row.Pending++
		if c.oldest.IsZero() || record.Timestamp.Before(c.oldest) {
			c.oldest = record.Timestamp
		}
	case a.letters[record.Partition].Has(record.Offset):
		part.row.DeadLetters++
		part.absent = part.absent.Append(eventlog.Range{First: at.offset, Next: at.offset + 1})
		c.bucket(at).letters = true
	case c.repeats[record.Partition].Has(record.Offset):
		part.row.Copies++
		part.absent = part.absent.Append(eventlog.Range{First: at.offset, Next: at.offset + 1})
	default:
		want := a.stored.want(record.Offset, report)
		expired := int64(len(report.Readings)) - int64(want.readings.rows)
		if earlier := schemas.Redrives(record.Headers); len(earlier) > 0 {
			c.redriven = append(c.redriven, copied{at, want, expired, earlier})
			return
		}
		c.expect(at, want, expired)
	}
}

// expect notes that a record is to be stored.
func (c *chunk) expect(at position, want sums, expired int64) {
	row := &c.parts[at.partition].row
	row.Stored++
	row.Expired += expired
	bucket := c.bucket(at)
	bucket.add(want)
	bucket.noReading = bucket.noReading || want.readings.rows == 0
	bucket.noReport = bucket.noReport || want.reports.rows == 0
}

func (c *chunk) bucket(at position) *wanted {
	place := placeOf(at.partition, at.offset)
	bucket := c.want[place]
	if bucket == nil {
		bucket = &wanted{}
		c.want[place] = bucket
	}
	return bucket
}

// want is what the tables must have of a report, as far as retention leaves it alone.
func (s *stored) want(o eventlog.Offset, report *shape) sums {
	var want sums
	keep := schemas.TimeOf(s.tables.ReadingsFrom)
	always := s.tables.ReadingsFrom.IsZero()
	for i := range report.Readings {
		if always || report.Readings[i].Time >= keep {
			want.readings.rows++
			want.readings.hash += hashed(o, i)
		}
	}
	if s.tables.ReportsFrom.IsZero() || report.ReceivedTime >= schemas.TimeOf(s.tables.ReportsFrom) {
		want.reports = sum{1, hashed(o, len(report.Readings))}
	}
	return want
}

// claimed holds the receipts of a chunk against the log.
func (r *run) claimed(a *account, c *chunk) {
	for _, p := range slices.Sorted(maps.Keys(c.parts)) {
		part := c.parts[p]
		claims := r.claims.of[claimed{a.topic, a.id.String(), p}].Within(c.ranges[p])
		part.row.Accepted = claims.Len()
		part.row.Unclaimed = part.present.Without(claims).Len()
		r.result.name(Difference{Kind: Lost, Topic: a.topic, TopicID: a.id, Partition: p}, claims.Without(part.present))
	}
}
