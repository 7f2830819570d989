package analytics

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
)

// retries decides which records of one partition are reports that were sent again. The decision about a record depends on
// those before it, also on those that an earlier owner of the partition stored:
//
//  1. The first record that takes part is held until the window before it has been read again, as far as duplicates.Limits.Reach
//     says. Crash: nothing happened. A partition without such records never gets here.
//  2. The window is folded on with each record that takes part, whether it becomes a row or a dead letter. Crash: the next owner
//     does step 1 from wherever it starts, and comes to the same decisions, so a block that was announced is cut again
//     with the same rows.
//
// A record that is offered again after a failure gets the answer it had.
type retries struct {
	sink    *sink
	window  *duplicates.Window // nil until step 1 is done
	entries int                // what the metrics have of it
	bytes   int
	short   uint64
}

// decide tells whether a record that takes part is a duplicate, and of which record. An error says that the log could not
// be read; try again.
func (d *retries) decide(ctx context.Context, r *eventlog.Record, id eventlog.SenderID) (original int64, duplicate bool, err error) {
	if d.window == nil {
		if d.window, err = d.sink.rebuild(ctx, r); err != nil {
			return 0, false, err
		}
	}
	original, duplicate = d.window.Add(duplicates.Identify(r.Key, id.Source, id.ID), int64(r.Offset), schemas.TimeOf(r.Timestamp))
	d.measure(d.window.Entries(), d.window.Bytes())
	return original, duplicate, nil
}

// rebuild returns the window as it was before a record.
func (s *sink) rebuild(ctx context.Context, r *eventlog.Record) (*duplicates.Window, error) {
	begin := time.Now()
	limits := s.cfg.Retries.WithDefaults()
	window := duplicates.New(limits)
	from, since := limits.Reach(int64(r.Offset), schemas.TimeOf(r.Timestamp))
	first, err := s.log.FirstSince(ctx, r.Topic, r.Partition, eventlog.Offset(from), since.Time())
	if err != nil {
		return nil, fmt.Errorf("rebuild the window of retries before %v: %w", r.Position, err)
	}
	past := map[eventlog.Partition]eventlog.Range{r.Partition: {First: first, Next: r.Offset}}
	err = s.log.Scan(ctx, r.Topic, past, func(past *eventlog.Record) error {
		if past.TopicID != r.TopicID {
			return fmt.Errorf("topic id is %s, not %s", past.TopicID, r.TopicID)
		}
		if id, own := past.SenderID(); own {
			window.Add(duplicates.Identify(past.Key, id.Source, id.ID), int64(past.Offset), schemas.TimeOf(past.Timestamp))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rebuild the window of retries before %v: %w", r.Position, err)
	}
	s.metrics.retries.rebuild.Observe(time.Since(begin).Seconds())
	return window, nil
}

// measure tells the metrics what changed since it last did.
func (d *retries) measure(entries, bytes int) {
	m := &d.sink.metrics.retries
	if entries != d.entries {
		m.entries.Add(float64(entries - d.entries))
		d.entries = entries
	}
	if bytes != d.bytes {
		m.bytes.Add(float64(bytes - d.bytes))
		d.bytes = bytes
	}
	if short := d.window.Shortened(); short != d.short {
		m.shortened.Add(float64(short - d.short))
		d.short = short
	}
}

// forget gives the window back.
func (d *retries) forget() {
	if d.window != nil {
		d.measure(0, 0)
		d.window = nil
	}
}
