package auditor

import (
	"context"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
)

// ahead is how far ahead of the time a record's timestamp may be, so that its letter seems to be older than the record. Kafka
// refuses records that are further ahead (message.timestamp.after.max.ms).
const ahead = time.Hour

// letterPlace is what the audit needs of a dead letter.
type letterPlace struct {
	Origin    string `avro:"origin"`
	Topic     string `avro:"topic"`
	TopicID   string `avro:"topic_id"`
	Partition int32  `avro:"partition"`
	Offset    int64  `avro:"offset"`
}

// readLetters returns the offsets of a topic that the storer has buried since a time, to the end of the dead letters.
func (a *Auditor) readLetters(ctx context.Context, id eventlog.TopicID, since time.Time) (map[eventlog.Partition]offsets.Set, error) {
	ranges, err := a.rangesSince(ctx, eventlog.TopicDeadLetters, since, ahead)
	if err != nil {
		return nil, err
	}
	decoder := eventlog.NewDecoder[letterPlace](a.log, schemas.KindDeadLetter)
	buried := map[eventlog.Partition][]eventlog.Range{}
	var l letterPlace
	err = a.log.Scan(ctx, eventlog.TopicDeadLetters, ranges, func(r *eventlog.Record) error {
		if err := decoder.Decode(ctx, r, &l); err != nil {
			return passOver(err)
		}
		if l.Origin == a.cfg.Storer && l.Topic == string(eventlog.TopicTelemetry) && l.TopicID == id.String() {
			p, o := eventlog.Partition(l.Partition), eventlog.Offset(l.Offset)
			buried[p] = append(buried[p], eventlog.Range{First: o, Next: o + 1})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	sets := make(map[eventlog.Partition]offsets.Set, len(buried))
	for p, list := range buried {
		sets[p] = offsets.Of(list)
	}
	return sets, nil
}

// rangesSince returns what a topic holds from a time on, or a little earlier.
func (a *Auditor) rangesSince(ctx context.Context, topic eventlog.Topic, since time.Time, slack time.Duration) (map[eventlog.Partition]eventlog.Range, error) {
	ranges, err := a.log.Decided(ctx, topic)
	if err != nil || since.IsZero() {
		return ranges, err
	}
	first, err := a.log.OffsetsAt(ctx, topic, since.Add(-slack))
	if err != nil {
		return nil, err
	}
	for p, r := range ranges {
		if o, known := first[p]; known {
			ranges[p] = eventlog.Range{First: min(max(r.First, o), r.Next), Next: r.Next}
		}
	}
	return ranges, nil
}
