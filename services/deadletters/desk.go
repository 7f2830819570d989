package deadletters

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
)

const (
	service = "deadletters"
	topic   = eventlog.TopicDeadLetters
)

// Desk reads dead letters and decides about them. It belongs to one goroutine.
type Desk struct {
	log       *eventlog.Log
	letters   *eventlog.Decoder[schemas.DeadLetter]
	redriven  *eventlog.Decoder[schemas.DeadLetterRedriven]
	discarded *eventlog.Decoder[schemas.DeadLetterDiscarded]
}

// New returns a Desk.
func New(log *eventlog.Log) *Desk {
	return &Desk{
		log:       log,
		letters:   eventlog.NewDecoder[schemas.DeadLetter](log, schemas.KindDeadLetter),
		redriven:  eventlog.NewDecoder[schemas.DeadLetterRedriven](log, schemas.KindDeadLetterRedriven),
		discarded: eventlog.NewDecoder[schemas.DeadLetterDiscarded](log, schemas.KindDeadLetterDiscarded),
	}
}

// Letter is a dead letter with what became of it.
type Letter struct {
	deadletters.Letter
	// At is where it was told first.
	At eventlog.Position
	// Event is the letter itself.
	Event *schemas.DeadLetter
}

// decode returns the event in a record of the topic; nil if it is none of ours, which is no letter to anybody.
func (d *Desk) decode(ctx context.Context, r *eventlog.Record) (schemas.Event, error) {
	ref, err := d.log.SchemaOf(ctx, r)
	if err != nil {
		return nil, unlessRefused(err)
	}
	var event schemas.Event
	switch ref.Subject {
	case schemas.KindDeadLetter.Subject:
		letter := &schemas.DeadLetter{}
		event, err = letter, d.letters.Decode(ctx, r, letter)
	case schemas.KindDeadLetterRedriven.Subject:
		redriven := &schemas.DeadLetterRedriven{}
		event, err = redriven, d.redriven.Decode(ctx, r, redriven)
	case schemas.KindDeadLetterDiscarded.Subject:
		discarded := &schemas.DeadLetterDiscarded{}
		event, err = discarded, d.discarded.Decode(ctx, r, discarded)
	}
	if err != nil {
		return nil, unlessRefused(err)
	}
	return event, nil
}

func unlessRefused(err error) error {
	var refusal *eventlog.Refusal
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}

// partitions returns those of the topic, in order.
func (d *Desk) partitions(ctx context.Context) ([]eventlog.Partition, error) {
	ends, err := d.log.Ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(ends)), nil
}

// folded is what is known of a partition, and which of its letters are chosen.
type folded struct {
	partition eventlog.Partition
	fold      deadletters.Fold
	chosen    []bool // beside fold.Letters
}

// read folds a partition to its end.
func (d *Desk) read(ctx context.Context, p eventlog.Partition, s *Selection) (*folded, error) {
	f := &folded{partition: p}
	for r, err := range d.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Partitions: []eventlog.Partition{p}}) {
		if err != nil {
			return nil, err
		}
		event, err := d.decode(ctx, r)
		if err != nil {
			return nil, err
		}
		changed := f.fold.Apply(int64(r.Offset), event)
		if letter, is := event.(*schemas.DeadLetter); is && changed {
			f.chosen = append(f.chosen, s.has(r.Position, letter))
		}
	}
	return f, ctx.Err()
}

// maxGap is how many records are read over rather than begun to read anew.
const maxGap = 1000

// at reads the letters at ascending offsets and yields them in this order.
func (d *Desk) at(ctx context.Context, p eventlog.Partition, letters []deadletters.Letter, yield func(*Letter) error) error {
	for len(letters) > 0 {
		n := 1
		for n < len(letters) && letters[n].Offset-letters[n-1].Offset <= maxGap {
			n++
		}
		if err := d.stretch(ctx, p, letters[:n], yield); err != nil {
			return err
		}
		letters = letters[n:]
	}
	return nil
}

// stretch is at for letters that lie near each other.
func (d *Desk) stretch(ctx context.Context, p eventlog.Partition, letters []deadletters.Letter, yield func(*Letter) error) error {
	o := eventlog.ReadOptions{Topic: topic, Partitions: []eventlog.Partition{p}, From: eventlog.FromOffset(eventlog.Offset(letters[0].Offset))}
	for r, err := range d.log.Read(ctx, o) {
		if err != nil {
			return err
		}
		if int64(r.Offset) < letters[0].Offset {
			continue
		}
		letter := &Letter{Letter: letters[0], At: r.Position, Event: &schemas.DeadLetter{}}
		if int64(r.Offset) > letters[0].Offset {
			break
		}
		if err := d.letters.Decode(ctx, r, letter.Event); err != nil {
			return fmt.Errorf("read letter %s again: %w", r.Position, err)
		}
		if err := yield(letter); err != nil {
			return err
		}
		if letters = letters[1:]; len(letters) == 0 {
			return nil
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("letter %s/%d@%d is no longer in the log", topic, p, letters[0].Offset)
}
