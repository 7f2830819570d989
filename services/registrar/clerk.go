package registrar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

// clerk decides for one partition. It is an eventlog.Processor.
type clerk struct {
	service   *Service
	partition eventlog.Partition
	events    *eventlog.Events
	states    map[string]schemas.ClientState
	next      map[eventlog.Topic]eventlog.Offset

	// What the present transaction did.
	changed []string // clients, in the order in which they changed first
	dirty   map[string]bool
	facts   []schemas.Event
	letters []*schemas.DeadLetter
	repeats int
}

func newClerk(s *Service, p eventlog.Partition) *clerk {
	return &clerk{
		service: s, partition: p, events: s.log.NewEvents(),
		states: map[string]schemas.ClientState{}, next: map[eventlog.Topic]eventlog.Offset{}, dirty: map[string]bool{},
	}
}

// Restore implements eventlog.Processor. What is no state of a client was not written by a registrar: it is left out.
func (c *clerk) Restore(ctx context.Context, r *eventlog.Record) error {
	r.Value = bytes.Clone(r.Value) // the state is kept, and must not hold what came along
	event, err := c.events.Decode(ctx, r)
	var refusal *eventlog.Refusal
	if errors.As(err, &refusal) {
		c.service.logger.Warn("left out what is no state of a client", "position", r.String(), "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	if s, is := event.(*schemas.ClientState); is {
		c.states[s.Client] = *s
		c.read(eventlog.TopicOrders, s.OrdersNext)
		c.read(eventlog.TopicProvisioning, s.ProvisioningNext)
	}
	return nil
}

// read notes how far in a topic the states are.
func (c *clerk) read(topic eventlog.Topic, next int64) {
	c.next[topic] = max(c.next[topic], eventlog.Offset(next))
}

// Next implements eventlog.Processor.
func (c *clerk) Next() map[eventlog.Topic]eventlog.Offset { return c.next }

// Process implements eventlog.Processor.
func (c *clerk) Process(ctx context.Context, tx *eventlog.Tx, inputs []*eventlog.Record) error {
	c.facts, c.letters, c.changed, c.repeats = c.facts[:0], c.letters[:0], c.changed[:0], 0
	clear(c.dirty)
	for _, r := range inputs {
		err := c.take(ctx, r)
		var refusal *eventlog.Refusal
		if errors.As(err, &refusal) {
			c.letters = append(c.letters, c.service.log.NewDeadLetter("registrar", c.service.host, r, refusal.Reason, refusal.Err))
			continue
		}
		if err != nil {
			return fmt.Errorf("decide on %s: %w", r.Position, err)
		}
	}
	return c.append(tx)
}

// take folds one record. A *eventlog.Refusal says that it is bad.
func (c *clerk) take(ctx context.Context, r *eventlog.Record) error {
	event, err := c.events.Decode(ctx, r)
	if err != nil {
		return err
	}
	client := string(event.AppendKey(nil))
	switch {
	case event.Kind().Topic != string(r.Topic):
		return &eventlog.Refusal{Reason: schemas.ReasonWrongEvent, Err: fmt.Errorf("%q does not belong on topic %s", event.Kind().Fact, r.Topic)}
	case client != string(r.Key):
		return &eventlog.Refusal{Reason: schemas.ReasonInvalid, Err: fmt.Errorf("its key is %q, not its client %q", r.Key, client)}
	}
	before := c.states[client]
	if r.Topic == eventlog.TopicProvisioning {
		c.keep(client, before, clients.Progress(before, event, int64(r.Offset)))
		return nil
	}
	after, facts, err := clients.Input(before, event, int64(r.Offset), c.service.cfg.Products)
	if err != nil {
		return &eventlog.Refusal{Reason: schemas.ReasonInvalid, Err: err}
	}
	if len(facts) == 0 {
		c.repeats++
	}
	c.facts = append(c.facts, facts...)
	c.keep(client, before, after)
	return nil
}

// keep takes a new state, which is published if a fact was folded into it.
func (c *clerk) keep(client string, before, after schemas.ClientState) {
	if after.Version == before.Version {
		return
	}
	after.Client = client
	c.states[client] = after
	if !c.dirty[client] {
		c.dirty[client] = true
		c.changed = append(c.changed, client)
	}
}

// append puts facts, states and letters into the transaction.
func (c *clerk) append(tx *eventlog.Tx) error {
	for _, fact := range c.facts {
		if err := tx.AppendTo(c.partition, fact); err != nil {
			return err
		}
	}
	for _, client := range c.changed {
		state := clients.Published(c.states[client])
		if err := tx.AppendTo(c.partition, &state); err != nil {
			return err
		}
	}
	for _, letter := range c.letters {
		if err := tx.Append(letter); err != nil {
			return err
		}
	}
	return nil
}

// Committed implements eventlog.Processor.
func (c *clerk) Committed() {
	m, now := c.service.metrics, time.Now()
	for _, fact := range c.facts {
		m.facts.WithLabelValues(fact.Kind().Fact).Inc()
		m.decision.Observe(now.Sub(fact.Head().ReceivedTime.Time()).Seconds())
		if rejected, is := fact.(*schemas.OrderRejected); is {
			m.rejections.WithLabelValues(string(rejected.Reason)).Inc()
		}
	}
	for _, letter := range c.letters {
		m.letters.WithLabelValues(string(letter.Reason)).Inc()
	}
	m.repeats.Add(float64(c.repeats))
}
