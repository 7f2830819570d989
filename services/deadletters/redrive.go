package deadletters

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
)

// Redrive appends the records of the chosen open letters to their topics again. A letter that waits for an earlier one of
// its key is left; with earlier, the earlier ones are redriven too. Tell is called for each letter once it is decided.
// The error may wrap eventlog.ErrFenced or ErrUnconfirmed; what was told is done, and it is safe to run it again.
func (d *Desk) Redrive(ctx context.Context, s *Selection, earlier bool, by By, tell func(Outcome) error) error {
	topics, err := topicIDs(ctx, d.log)
	if err != nil {
		return err
	}
	plan := func(f *folded) []deadletters.Step {
		return f.fold.Plan(func(i int) bool { return f.chosen[i] }, earlier)
	}
	return (&decision{desk: d, by: by, tell: tell, plan: plan, act: &redrive{d.log, by, topics}}).run(ctx, s)
}

// redrive is the action of Redrive.
type redrive struct {
	log    *eventlog.Log
	by     By
	topics map[eventlog.Topic]eventlog.TopicID // the topics there are
}

func (r *redrive) prepare(ctx context.Context, l *Letter) (func(*eventlog.Tx) error, Outcome, error) {
	record, err := r.record(ctx, l)
	if err != nil {
		return nil, Outcome{}, err
	}
	event := &schemas.DeadLetterRedriven{
		Envelope: r.by.head("redriven", l, l.Attempt+1), LetterDecision: r.by.decision(l),
		Topic: l.Event.Topic, Partition: int32(record.Partition),
	}
	where := fmt.Sprintf("to %s/%d, attempt %d", record.Topic, record.Partition, l.Attempt+1)
	if record.Partition == eventlog.ByKey {
		where = fmt.Sprintf("to %s by its key, attempt %d: the topic was created anew", record.Topic, l.Attempt+1)
	}
	add := func(tx *eventlog.Tx) error {
		tx.Repeat(record, schemas.RedriveOf(l.Event).Header())
		return tx.AppendTo(l.At.Partition, event)
	}
	return add, Outcome{l, Redriven, where}, nil
}

// record returns the letter's record as it was, with the partition that it goes to.
func (r *redrive) record(ctx context.Context, l *Letter) (*eventlog.Record, error) {
	e := l.Event
	if e.Topic == "" || e.Offset < 0 || e.Partition < 0 {
		return nil, refuse("its record was refused before it had a place in a topic")
	}
	id, exists := r.topics[eventlog.Topic(e.Topic)]
	if !exists {
		return nil, refuse("topic %q is not there", e.Topic)
	}
	recreated := id.String() != e.TopicID
	if e.Cut() {
		if recreated {
			return nil, refuse("%s, and topic %q was created anew: the rest is gone", cut(e), e.Topic)
		}
		return original(ctx, r.log, e)
	}
	record := &eventlog.Record{Position: RecordOf(e), Key: e.Key, Value: e.Value, Headers: e.Headers}
	if recreated {
		record.Partition = eventlog.ByKey
	}
	return record, nil
}

func cut(e *schemas.DeadLetter) string {
	return fmt.Sprintf("the letter holds %d of its record's %d bytes", len(e.Key)+len(e.Value), e.Size)
}

// original reads the record of a letter from its topic, which is still the one it was in.
func original(ctx context.Context, log *eventlog.Log, e *schemas.DeadLetter) (*eventlog.Record, error) {
	at := RecordOf(e)
	o := eventlog.ReadOptions{Topic: at.Topic, Partitions: []eventlog.Partition{at.Partition}, From: eventlog.FromOffset(at.Offset)}
	for r, err := range log.Read(ctx, o) {
		if err != nil {
			return nil, err
		}
		if r.Offset == at.Offset && bytes.HasPrefix(r.Key, e.Key) && bytes.HasPrefix(r.Value, e.Value) {
			return r, nil
		}
		break
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, refuse("%s, and %s is no longer in the log", cut(e), at)
}
