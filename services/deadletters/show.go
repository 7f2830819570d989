package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
)

// ErrNotFound says that there is no such letter.
var ErrNotFound = errors.New("there is no such dead letter")

// Story is a letter with all that is known of its record.
type Story struct {
	*Letter
	// Record is the record as it was, read from its topic where the letter is cut; nil where the rest is gone.
	Record *eventlog.Record
	// Chapters are what happened to the record, in order: its letters, and what was decided about them.
	Chapters []Chapter
}

// Chapter is one thing that happened to a record: a letter, or a decision.
type Chapter struct {
	At    eventlog.Position
	Time  time.Time
	What  string // the fact: deadletter, deadletter.redriven, deadletter.discarded
	Event schemas.Event
}

// Show returns the letter with an event id or at a position, which may also be its record's: then it is the newest that is chosen.
func (d *Desk) Show(ctx context.Context, ref string) (*Story, error) {
	partitions, err := d.partitions(ctx)
	if err != nil {
		return nil, err
	}
	if p, tells := partitionOf(ref); tells && slices.Contains(partitions, p) {
		partitions = []eventlog.Partition{p}
	}
	s := &Selection{Letters: []string{ref}}
	for _, p := range partitions {
		f, err := d.read(ctx, p, s)
		if err != nil {
			return nil, err
		}
		found := f.in([]deadletters.State{deadletters.Open, deadletters.Redriven, deadletters.Discarded})
		if len(found) == 0 {
			continue
		}
		return d.story(ctx, p, found[len(found)-1:])
	}
	return nil, fmt.Errorf("%w: %q", ErrNotFound, ref)
}

func (d *Desk) story(ctx context.Context, p eventlog.Partition, letter []deadletters.Letter) (*Story, error) {
	var story Story
	err := d.at(ctx, p, letter, func(l *Letter) error {
		story.Letter = l
		return nil
	})
	if err != nil {
		return nil, err
	}
	if story.Chapters, err = d.chapters(ctx, p, story.Event); err != nil {
		return nil, err
	}
	story.Record, err = d.whole(ctx, story.Event)
	return &story, err
}

// chapters reads what else there is about the record of a letter.
func (d *Desk) chapters(ctx context.Context, p eventlog.Partition, of *schemas.DeadLetter) ([]Chapter, error) {
	ids := map[string]bool{of.EventID: true}
	for _, r := range schemas.Redrives(of.Headers) {
		ids[r.Letter] = true
	}
	var chapters []Chapter
	for r, err := range d.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Partitions: []eventlog.Partition{p}}) {
		if err != nil {
			return nil, err
		}
		event, err := d.decode(ctx, r)
		if err != nil {
			return nil, err
		}
		if event != nil && concerns(event, ids) {
			chapters = append(chapters, Chapter{r.Position, event.Head().ReceivedTime.Time(), event.Kind().Fact, event})
		}
	}
	return chapters, ctx.Err()
}

// concerns tells whether an event is about one of the letters, and adds a letter that came of them.
func concerns(event schemas.Event, ids map[string]bool) bool {
	switch e := event.(type) {
	case *schemas.DeadLetter:
		for _, r := range schemas.Redrives(e.Headers) {
			ids[e.EventID] = ids[e.EventID] || ids[r.Letter]
		}
		return ids[e.EventID]
	case *schemas.DeadLetterRedriven:
		return ids[e.Letter]
	case *schemas.DeadLetterDiscarded:
		return ids[e.Letter]
	}
	return false
}

// whole returns the record of a letter, or nil if part of it is gone.
func (d *Desk) whole(ctx context.Context, e *schemas.DeadLetter) (*eventlog.Record, error) {
	if !e.Cut() {
		return &eventlog.Record{Position: RecordOf(e), Key: e.Key, Value: e.Value, Headers: e.Headers}, nil
	}
	ids, err := topicIDs(ctx, d.log)
	if err != nil {
		return nil, err
	}
	if ids[eventlog.Topic(e.Topic)].String() != e.TopicID {
		return nil, nil
	}
	record, err := original(ctx, d.log, e)
	var gone *refusal
	if errors.As(err, &gone) {
		return nil, nil
	}
	return record, err
}

// topicIDs returns the topics there are.
func topicIDs(ctx context.Context, log *eventlog.Log) (map[eventlog.Topic]eventlog.TopicID, error) {
	topics, err := log.Topics(ctx)
	if err != nil {
		return nil, err
	}
	ids := map[eventlog.Topic]eventlog.TopicID{}
	for _, t := range topics {
		if t.Exists {
			ids[t.Name] = t.ID
		}
	}
	return ids, nil
}
