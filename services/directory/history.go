package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

// moment is a place in the past: a time, or an offset of topic clients in the client's partition, which is included.
type moment struct {
	set    bool
	offset eventlog.Offset // -1 for a time
	time   time.Time
}

func momentOf(text string, now time.Time) (moment, error) {
	if text == "" {
		return moment{}, nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 {
		return moment{set: true, offset: eventlog.Offset(offset)}, nil
	}
	t, ok := eventlog.ParseTime(text, now)
	if !ok {
		return moment{}, fmt.Errorf("as_of is a time (2026-01-31T12:00:00Z), how long ago (-15m) or an offset of topic clients, not %q", text)
	}
	return moment{set: true, offset: -1, time: t}, nil
}

// later tells whether a record of topic clients lies behind the moment.
func (m moment) later(r *eventlog.Record) bool {
	return m.set && (m.offset >= 0 && r.Offset > m.offset || m.offset < 0 && r.Timestamp.After(m.time))
}

const (
	defaultHistory = 50
	maxHistory     = 1000
)

func historyOf(text string) (int, error) {
	if text == "" {
		return defaultHistory, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxHistory {
		return 0, fmt.Errorf("history is a number from 0 to %d", maxHistory)
	}
	return n, nil
}

// past folds a client's facts up to a moment. An offset becomes the time of the record there, for the facts of the other topic.
func (d *Directory) past(ctx context.Context, client string, p eventlog.Partition, until *moment) (*schemas.ClientState, error) {
	if err := d.scans.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer d.scans.Release(1)
	state, events := schemas.ClientState{Client: client}, d.log.NewEvents()
	fold := func(r *eventlog.Record) error {
		if string(r.Key) != client {
			return nil
		}
		event, err := events.Decode(ctx, r)
		if err != nil {
			return ours(err)
		}
		if r.Topic == eventlog.TopicProvisioning {
			state = clients.Progress(state, event, int64(r.Offset))
		} else {
			state = clients.Apply(state, event)
		}
		return nil
	}
	err := d.scan(ctx, eventlog.TopicClients, p, func(r *eventlog.Record) (bool, error) {
		if until.later(r) {
			return false, nil
		}
		if until.offset >= 0 {
			until.time = r.Timestamp
		}
		return true, fold(r)
	})
	if err != nil {
		return nil, err
	}
	err = d.scan(ctx, eventlog.TopicProvisioning, p, func(r *eventlog.Record) (bool, error) {
		if r.Timestamp.After(until.time) {
			return false, nil
		}
		return true, fold(r)
	})
	return &state, err
}

// ours lets records be that are no events of ours: anybody may append to a topic, and what cannot be decided is a dead letter.
func ours(err error) error {
	if refusal := (*eventlog.Refusal)(nil); errors.As(err, &refusal) {
		return nil
	}
	return err
}

// scan reads a partition until do has enough.
func (d *Directory) scan(ctx context.Context, topic eventlog.Topic, p eventlog.Partition, do func(*eventlog.Record) (more bool, err error)) error {
	for r, err := range d.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Partitions: []eventlog.Partition{p}}) {
		if err != nil {
			return err
		}
		if more, err := do(r); err != nil || !more {
			return err
		}
	}
	return ctx.Err()
}

// history returns the last inputs and facts about a client, oldest first.
func (d *Directory) history(ctx context.Context, client string, p eventlog.Partition, until moment, most int) ([]Told, error) {
	if err := d.scans.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer d.scans.Release(1)
	var kept []*eventlog.Record
	for _, topic := range []eventlog.Topic{eventlog.TopicOrders, eventlog.TopicClients, eventlog.TopicProvisioning} {
		var last []*eventlog.Record
		err := d.scan(ctx, topic, p, func(r *eventlog.Record) (bool, error) {
			if until.set && r.Timestamp.After(until.time) || topic == eventlog.TopicClients && until.later(r) {
				return false, nil
			}
			if string(r.Key) == client {
				if last = append(last, r); len(last) >= 2*most {
					last = slices.Clone(last[len(last)-most:]) // what came before may be collected
				}
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
		kept = append(kept, last[max(0, len(last)-most):]...)
	}
	slices.SortStableFunc(kept, func(a, b *eventlog.Record) int { return a.Timestamp.Compare(b.Timestamp) })
	return d.told(ctx, kept[max(0, len(kept)-most):])
}

func (d *Directory) told(ctx context.Context, records []*eventlog.Record) ([]Told, error) {
	all := make([]Told, 0, len(records))
	for _, r := range records {
		one, err := d.tell(ctx, r)
		if err == nil {
			all = append(all, one)
		} else if err = ours(err); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (d *Directory) tell(ctx context.Context, r *eventlog.Record) (Told, error) {
	ref, err := d.log.SchemaOf(ctx, r)
	if err != nil {
		return Told{}, err
	}
	text, err := d.log.JSON(ctx, r)
	if err != nil {
		return Told{}, err
	}
	told := Told{Topic: string(r.Topic), Partition: int32(r.Partition), Offset: int64(r.Offset), Recorded: r.Timestamp.UTC(), Event: text}
	for _, kind := range schemas.Kinds() {
		if kind.Subject == ref.Subject {
			told.Kind = kind.Fact
		}
	}
	return told, nil
}

// Expect returns a channel that gets the registrar's answer to an input, once the client is shown as it is after it: call it before
// the input is appended, and cancel when the answer is no longer wanted. An input that was answered before is looked up in the log.
func (d *Directory) Expect(ctx context.Context, client, event string) (answer <-chan schemas.Event, cancel func()) {
	in := input{client, event}
	come, forget := d.book.expect(in)
	e, known := d.book.client(client)
	if !known || !answered(e.state, event) {
		return come, forget
	}
	ctx, stop := context.WithCancel(ctx)
	go func() {
		if found := d.lookUp(ctx, in, e.partition); found != nil {
			select {
			case come <- found:
			default: // it came by itself
			}
		}
	}()
	return come, func() { stop(); forget() }
}

// answered tells whether a state remembers an input.
func answered(s *schemas.ClientState, event string) bool {
	return slices.Contains(s.Handled, schemas.Handled{EventID: event}) ||
		slices.ContainsFunc(s.Orders, func(o schemas.OrderState) bool { return o.PlacedEvent == event })
}

// lookUp finds the fact that answers an input; nil if it cannot.
func (d *Directory) lookUp(ctx context.Context, in input, p eventlog.Partition) (found schemas.Event) {
	if d.scans.Acquire(ctx, 1) != nil {
		return nil
	}
	defer d.scans.Release(1)
	events := d.log.NewEvents()
	err := d.scan(ctx, eventlog.TopicClients, p, func(r *eventlog.Record) (bool, error) {
		if string(r.Key) != in.client {
			return true, nil
		}
		event, err := events.Decode(ctx, r)
		if a, is := answerOf(event); err == nil && is && a.to == in {
			found = event
		}
		return found == nil, ours(err)
	})
	if err != nil && ctx.Err() == nil {
		d.logger.Warn("cannot look up an answer", "error", err)
	}
	return found
}
