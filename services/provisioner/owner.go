package provisioner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/provisioning"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// owner provisions the orders of one partition. Everything but the acts themselves happens in run's goroutine.
type owner struct {
	service    *Service
	partition  eventlog.Partition
	transactor *eventlog.Transactor
	state      *provisioning.State
	events     *eventlog.Events
	next       map[eventlog.Topic]eventlog.Offset // every record before it is folded
	inbox      *inbox
	ended      chan ended
	busy       map[string]bool // clients that are being worked on
	due        time.Time       // when to look again, though nothing was told
}

// ended is what became of an act.
type ended struct {
	task    task
	outcome string
	err     error
}

func newOwner(s *Service, p eventlog.Partition) *owner {
	return &owner{
		service: s, partition: p, state: provisioning.New(), events: s.log.NewEvents(),
		busy:  map[string]bool{},
		inbox: newInbox(), ended: make(chan ended, s.cfg.Workers),
	}
}

// open fences the owner before this one, and then reads everything it told.
func (o *owner) open(ctx context.Context) error {
	id := eventlog.TransactionID(fmt.Sprintf("provisioner-%d", o.partition))
	t, err := o.service.log.Transactor(ctx, id)
	if err != nil {
		return err
	}
	o.transactor = t
	if o.next, err = o.service.log.History(ctx, o.partition, eventlog.ProvisioningTopics(), o.state.Apply); err != nil {
		o.close()
	}
	return err
}

func (o *owner) close() { o.transactor.Close() }

// run works until ctx ends, and then waits for the acts under way.
func (o *owner) run(ctx context.Context) error {
	acts, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for {
		err := o.step(ctx, acts)
		switch {
		case ctx.Err() != nil: // also when that is what step failed of
			return o.drain(ctx, stop)
		case err != nil:
			return err
		}
	}
}

// step begins what may begin, and takes note of the next thing that happens.
func (o *owner) step(ctx, acts context.Context) error {
	if err := o.advance(ctx, acts); err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(o.due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-o.inbox.ready:
		return o.listen(ctx)
	case e := <-o.ended:
		return o.finish(context.WithoutCancel(ctx), e)
	case <-timer.C:
	}
	return nil
}

// listen hears the news, or reads them where there were too many.
func (o *owner) listen(ctx context.Context) error {
	news, missed := o.inbox.take()
	if missed {
		return o.catchUp(ctx)
	}
	for _, r := range news {
		if err := o.hear(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// catchUp hears everything that is in the log now.
func (o *owner) catchUp(ctx context.Context) error {
	for _, topic := range followed() {
		from := map[eventlog.Partition]eventlog.Offset{o.partition: o.next[topic]}
		for r, err := range o.service.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Partitions: []eventlog.Partition{o.partition}, Starts: from}) {
			if err != nil {
				return err
			}
			if err := o.hear(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// hear folds what is new. What was read already is left out by its offset; facts about provisioning are this owner's own, and are
// folded already.
func (o *owner) hear(ctx context.Context, r *eventlog.Record) error {
	if r.Offset < o.next[r.Topic] {
		return nil
	}
	o.next[r.Topic] = r.Offset + 1
	event, err := o.events.Decode(ctx, r)
	var refusal *eventlog.Refusal
	if errors.As(err, &refusal) {
		o.service.logger.Error("left out a record that is not ours", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "error", err)
		return nil
	}
	if _, own := event.(*schemas.ProvisioningProgressed); err == nil && !own {
		o.state.Apply(event)
	}
	return err
}

// drain waits for the acts under way and tells what became of them. What takes too long is cut off: its intent stays, so that the
// next owner looks whether it happened.
func (o *owner) drain(ctx context.Context, stop context.CancelFunc) error {
	bound := time.AfterFunc(o.service.cfg.Drain, stop)
	defer bound.Stop()
	bare := context.WithoutCancel(ctx)
	for len(o.busy) > 0 {
		e := <-o.ended
		if e.err != nil && errors.Is(e.err, context.Canceled) {
			delete(o.busy, e.task.order.Client)
			continue
		}
		if err := o.finish(bare, e); err != nil {
			return err
		}
	}
	return nil
}

// idle is how long an owner sleeps when nothing is due.
const idle = time.Minute

// advance begins everything that may begin now: the intents of all are appended together.
func (o *owner) advance(ctx, acts context.Context) error {
	now := time.Now()
	o.due = now.Add(idle)
	var facts []schemas.Event
	var tasks []started
	waiting := o.state.Waiting()
	for _, client := range waiting {
		facts = append(facts, o.requested(client, now)...)
		if o.busy[client] {
			continue
		}
		s, events := o.begin(client, now)
		facts = append(facts, events...)
		if s != nil {
			tasks = append(tasks, *s)
		}
	}
	if err := o.tell(ctx, facts); err != nil {
		for _, s := range tasks {
			s.told(errUntried)
			<-o.service.slots
		}
		return err
	}
	for _, s := range tasks {
		o.busy[s.task.order.Client] = true
		go o.act(acts, s)
	}
	return nil
}

// requested tells of orders that were not told of yet.
func (o *owner) requested(client string, now time.Time) []schemas.Event {
	var facts []schemas.Event
	for _, order := range o.state.Queue(client) {
		if p := order.Progress(); !p.Requested && !p.Started && p.Done == 0 && p.Attempt == 0 {
			facts = append(facts, o.fact(o.task(order), schemas.ProvisioningRequested, now))
		}
	}
	return facts
}

// started is a task that was given a worker and a backend.
type started struct {
	task task
	told func(error)
}

// begin begins what the client's first order needs next, if it may begin now; or gives the order up.
func (o *owner) begin(client string, now time.Time) (*started, []schemas.Event) {
	order := o.state.Queue(client)[0]
	p, t := order.Progress(), o.task(order)
	if p.GiveUp {
		o.sooner(now) // the client's next order, once this one is out of the way
		return nil, o.abandoned(t, "operator", "an operator gave it up", p.Attempt, now)
	}
	if next := p.NextTry.Time(); p.NextTry > 0 && next.After(now) {
		o.sooner(next)
		return nil, nil
	}
	select {
	case o.service.slots <- struct{}{}:
	default:
		o.sooner(now.Add(busyWait))
		return nil, nil
	}
	told, ok := t.backend.allow()
	if !ok {
		<-o.service.slots
		o.sooner(now.Add(t.backend.rest))
		return nil, nil
	}
	var facts []schemas.Event
	if !p.Started {
		facts = append(facts, o.fact(t, schemas.ProvisioningStarted, now))
	}
	return &started{task: t, told: told}, append(facts, o.effect(t, schemas.EffectIntended, "", now))
}

// busyWait is the time after which a free worker is looked for again.
const busyWait = 100 * time.Millisecond

func (o *owner) sooner(at time.Time) {
	if at.Before(o.due) {
		o.due = at
	}
}

// act does a task. It runs beside the owner's goroutine.
func (o *owner) act(ctx context.Context, s started) {
	o.service.metrics.running.Inc()
	bound, cancel := context.WithTimeout(ctx, o.service.cfg.Step)
	outcome, err := s.task.backend.act(bound, s.task)
	cancel()
	o.service.metrics.running.Dec()
	<-o.service.slots
	s.tell(ctx, err)
	o.ended <- ended{task: s.task, outcome: outcome, err: err}
}

// tell tells the breaker how the backend is. It must be told also when nobody waits for the act any more: a breaker that let one
// try pass lets no other pass before.
func (s *started) tell(ctx context.Context, err error) {
	var refusal *backend.Refusal
	switch {
	case errors.As(err, &refusal):
		s.told(nil) // the backend answered
	case err != nil && ctx.Err() != nil:
		s.told(errUntried) // it was not asked to the end
	default:
		s.told(err)
	}
}

// finish appends what became of an act.
func (o *owner) finish(ctx context.Context, e ended) error {
	delete(o.busy, e.task.order.Client)
	o.service.metrics.acts.WithLabelValues(e.task.backend.Name(), e.outcome).Inc()
	o.log(e)
	return o.tell(ctx, o.outcome(e, time.Now()))
}

func (o *owner) log(e ended) {
	t := e.task
	logger := o.service.logger.With("client", t.order.Client, "order", t.order.ID, "version", t.order.Version, "step", t.step,
		"backend", t.backend.Name(), "trace_id", t.order.TraceID)
	if e.err != nil {
		logger.Warn("a step failed", "attempt", t.attempt, "error", e.err)
		return
	}
	logger.Info("a step is done", "outcome", e.outcome)
}

// tell appends events in one transaction and folds them once it is committed.
func (o *owner) tell(ctx context.Context, events []schemas.Event) error {
	if len(events) == 0 {
		return nil
	}
	err := o.transactor.Run(ctx, func(tx *eventlog.Tx) error {
		for _, event := range events {
			if err := tx.AppendTo(o.partition, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, event := range events {
		o.state.Apply(event)
		if p, ok := event.(*schemas.ProvisioningProgressed); ok {
			o.service.metrics.facts.WithLabelValues(string(p.State)).Inc()
		}
	}
	return nil
}
