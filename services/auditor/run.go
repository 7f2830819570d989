package auditor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// run is one audit under way.
type run struct {
	*Auditor
	result *Result
	claims *claims
}

// account is what the audit of one topic needs.
type account struct {
	topic   eventlog.Topic
	id      eventlog.TopicID
	held    map[eventlog.Partition]eventlog.Range // by the log when the audit began
	stored  *stored                               // nil where ClickHouse has nothing of the topic
	until   map[eventlog.Partition]eventlog.Offset
	letters map[eventlog.Partition]offsets.Set
	from    map[eventlog.Partition]eventlog.Offset // where the window begins
}

func (r *run) all(ctx context.Context) error {
	tables, err := r.cfg.Tables(ctx)
	if err != nil {
		return err
	}
	r.result.Generation = tables.Generation
	if r.claims, err = r.readClaims(ctx, r.result.Window.From); err != nil {
		return err
	}
	r.claims.gaps(r.result)
	if r.claims.nameless > 0 {
		r.result.note("receipts of %d records tell no topic's id, because the topic was created anew while they were counted: not compared", r.claims.nameless)
	}
	ids, err := r.log.TopicIDs(ctx, r.topics()...)
	if err != nil {
		return err
	}
	for _, topic := range r.topics() {
		id, exists := ids[topic]
		if !exists {
			r.result.note("topic %s does not exist", topic)
			continue
		}
		if err := r.topic(ctx, &account{topic: topic, id: id}, tables); err != nil {
			return err
		}
	}
	return r.unchanged(ctx, ids)
}

// topics are telemetry and every other that receipts tell of.
func (r *run) topics() []eventlog.Topic {
	topics := []eventlog.Topic{eventlog.TopicTelemetry}
	for key := range r.claims.of {
		if !slices.Contains(topics, key.topic) {
			topics = append(topics, key.topic)
		}
	}
	slices.Sort(topics[1:])
	return topics
}

// unchanged makes sure that the topics are still those that were audited.
func (r *run) unchanged(ctx context.Context, before map[eventlog.Topic]eventlog.TopicID) error {
	now, err := r.log.TopicIDs(ctx, slices.Collect(maps.Keys(before))...)
	if err != nil {
		return err
	}
	if !maps.Equal(before, now) {
		return errRecreated
	}
	return nil
}

// topic audits one topic, hour by hour.
func (r *run) topic(ctx context.Context, a *account, tables Tables) error {
	if err := r.open(ctx, a, tables); err != nil {
		return err
	}
	r.beyond(a)
	w := r.result.Window
	from, err := r.bounds(ctx, a.topic, w.From, a.held)
	if err != nil {
		return err
	}
	a.from = from
	r.noteDeleted(a, from)
	begin := w.From
	if begin.IsZero() {
		if begin, err = r.oldest(ctx, a); err != nil {
			return err
		}
	}
	end := w.To
	if end.IsZero() {
		end = r.result.Began
	}
	for last := false; !last; {
		next := begin.Truncate(time.Hour).Add(time.Hour)
		last = !next.Before(end)
		to, err := r.bounds(ctx, a.topic, next, a.held)
		if last {
			to, err = r.ends(ctx, a.topic, w, a.held)
		}
		if err != nil {
			return err
		}
		for p := range to {
			to[p] = max(to[p], from[p])
		}
		if err := r.hour(ctx, a, begin, from, to); err != nil {
			return err
		}
		begin, from = next, to
	}
	return nil
}

// open asks for what the topic holds, and how much of it is stored.
func (r *run) open(ctx context.Context, a *account, tables Tables) (err error) {
	if a.held, err = r.log.Decided(ctx, a.topic); err != nil {
		return err
	}
	a.until = map[eventlog.Partition]eventlog.Offset{}
	if a.topic != eventlog.TopicTelemetry {
		return nil
	}
	a.stored = &stored{ch: r.ch, tables: tables, id: a.id}
	if from := tables.DuplicatesFrom; r.result.Window.From.Before(from) {
		r.result.note("duplicates are kept since %s: a report that was sent again before may be named as missing", from.UTC().Format(time.RFC3339))
	}
	if a.until, err = r.progress(ctx, tables.Group, a.topic, a.id); err != nil {
		return err
	}
	a.letters, err = r.readLetters(ctx, a.id, r.result.Window.From)
	return err
}

// beyond names what is claimed beyond the end of the log, whatever the window: nobody can tell when it was appended.
func (r *run) beyond(a *account) {
	former := int64(0)
	for _, key := range sortedClaims(r.claims.of) {
		if key.topic != a.topic {
			continue
		}
		if key.id != a.id.String() {
			former += r.claims.of[key].Len()
			continue
		}
		end := a.held[key.partition].Next
		lost := r.claims.of[key].Without(offsets.Set{{First: 0, Next: end}})
		r.result.name(Difference{Kind: Lost, Topic: a.topic, TopicID: a.id, Partition: key.partition}, lost)
	}
	if former > 0 {
		r.result.note("receipts of %d records are of an earlier topic %s, which was deleted: not compared", former, a.topic)
	}
}

// noteDeleted says where the log does not reach back to the beginning of the window.
func (r *run) noteDeleted(a *account, from map[eventlog.Partition]eventlog.Offset) {
	for _, p := range slices.Sorted(maps.Keys(a.held)) {
		if first := a.held[p].First; first > 0 && from[p] == first {
			r.result.note("%s/%d begins at offset %d by now: what was before is not compared", a.topic, p, first)
		}
	}
}

// peeked is how many offsets of a partition are looked at for the age of its oldest records.
const peeked = 100

// oldest returns about the hour of the oldest record, or now if there is none. It decides only which hour the first row shows.
func (r *run) oldest(ctx context.Context, a *account) (time.Time, error) {
	oldest := r.result.Began
	first := map[eventlog.Partition]eventlog.Range{}
	for p, held := range a.held {
		first[p] = eventlog.Range{First: held.First, Next: min(held.First+peeked, held.Next)}
	}
	err := r.log.Scan(ctx, a.topic, first, func(record *eventlog.Record) error {
		if record.Timestamp.Before(oldest) {
			oldest = record.Timestamp
		}
		return nil
	})
	return oldest.Truncate(time.Hour), err
}

func sortedClaims(of map[claimed]offsets.Set) []claimed {
	return slices.SortedFunc(maps.Keys(of), func(a, b claimed) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.id, b.id), cmp.Compare(a.partition, b.partition))
	})
}
