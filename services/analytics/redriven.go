package analytics

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// redriven decides whether a redriven record counts: of a record and those it was redriven as, one is stored, in every
// generation of tables. A record is redriven because it could not be stored, and what mends it (a schema that is registered,
// a rule that is relaxed) mends the first copy too when another generation reads the log from its beginning:
//
//   - the generation that gave the first copy up stores the one that was redriven;
//   - one that comes later and can store the first leaves the redriven ones out.
//
// What became of an earlier copy is known, and stays the same when a block is made again after a crash: copies of this and of
// the block before, which may be in ClickHouse or not, are remembered here; older ones are in the table of reports, or nowhere.
type redriven struct {
	id         eventlog.TopicID
	partition  eventlog.Partition
	open, last outcomes
}

// outcomes tells which records of a block are not stored.
type outcomes struct {
	first  eventlog.Offset
	begun  bool
	absent map[eventlog.Offset]struct{}
}

// begin notes that the open block holds the record at o.
func (d *redriven) begin(o eventlog.Offset) {
	if !d.open.begun {
		d.open.first, d.open.begun = o, true
	}
}

// leaveOut notes that the record at o is not stored.
func (d *redriven) leaveOut(o eventlog.Offset) {
	if d.open.absent == nil {
		d.open.absent = map[eventlog.Offset]struct{}{}
	}
	d.open.absent[o] = struct{}{}
}

// sealed notes that the open block is closed. The one before it is stored by then.
func (d *redriven) sealed() { d.last, d.open = d.open, outcomes{} }

// remembered tells what became of an earlier copy, if that is known without asking ClickHouse.
func (d *redriven) remembered(r schemas.Redrive) (stored, known bool) {
	if r.TopicID != d.id.String() || r.Partition != int32(d.partition) {
		return false, false
	}
	for _, block := range []*outcomes{&d.open, &d.last} {
		if block.begun && r.Offset >= int64(block.first) {
			_, absent := block.absent[eventlog.Offset(r.Offset)]
			return !absent, true
		}
	}
	return false, false
}

// superfluous tells whether the record, which is decoded in f.report, was redriven although an earlier copy of it is stored.
func (f *fold) superfluous(ctx context.Context, r *eventlog.Record) (bool, error) {
	earlier := schemas.Redrives(r.Headers)
	if len(earlier) == 0 {
		return false, nil // nearly always
	}
	var older []schemas.Redrive
	for _, copied := range earlier {
		stored, known := f.redriven.remembered(copied)
		switch {
		case known && stored && copied.Offset < int64(r.Offset):
			return true, nil
		case !known:
			older = append(older, copied)
		}
	}
	return f.sink.reported(ctx, &f.report, older)
}

// reported tells whether the table of reports has the report, from one of the given records.
func (s *sink) reported(ctx context.Context, r *schemas.TelemetryReported, from []schemas.Redrive) (bool, error) {
	if len(from) == 0 {
		return false, nil
	}
	args := []any{r.Client, r.Device, r.EventID}
	positions := make([]string, len(from))
	for i, copied := range from {
		positions[i] = fmt.Sprintf("(?, %d, %d)", copied.Partition, copied.Offset)
		args = append(args, copied.TopicID)
	}
	rows, err := s.ch.Query(ctx, "SELECT 1 FROM "+s.ch.Table(tableOf("reports", s.cfg.Generation))+
		" WHERE client = ? AND device = ? AND event_id = ?"+
		fmt.Sprintf(" AND received_time = fromUnixTimestamp64Micro(%d, 'UTC')", r.ReceivedTime)+
		" AND (topic_id, partition, `offset`) IN ("+strings.Join(positions, ", ")+") LIMIT 1", args...)
	if err != nil {
		return false, fmt.Errorf("look for earlier copies of a redriven record: %w", err)
	}
	found := rows.Next()
	return found, errors.Join(rows.Err(), rows.Close())
}
