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
//
// What is told is folded at once and appended at the end of a step, in one transaction: what became of acts, with the intents of
// what follows from that. Acts begin after it. When it fails, the owner ends, and with it all that it remembers.
type owner struct {
	service    *Service
	partition  eventlog.Partition
	transactor *eventlog.Transactor
	state      *provisioning.State
	events     *eventlog.Events
	next       map[eventlog.Topic]eventlog.Offset // every record before it is folded
	news       *newsQueue
	turns      turns
	told       []schemas.Event // folded, not appended yet
	begun      []started       // intended, not appended yet
	busy       map[string]bool // clients that are being worked on
	ended      chan ended
	open       int // orders with something to do, as the metrics have it
}

// ended is what became of an act.
type ended struct {
	task    task
	outcome string
	err     error
}

func newOwner(s *Service, p eventlog.Partition) *owner {
	return &owner{
		service: s, partition: p, state: provisioning.New(), events: s.log.NewEvents(), turns: newTurns(),
		busy: map[string]bool{}, news: newNewsQueue(), ended: make(chan ended, s.cfg.Workers),
	}
}

// takeOver fences the owner before this one, and then reads everything it told.
func (o *owner) takeOver(ctx context.Context) error {
	id := eventlog.TransactionID(fmt.Sprintf("provisioner-%d", o.partition))
	t, err := o.service.log.Transactor(ctx, id)
	if err != nil {
		return err
	}
	o.transactor = t
	if o.next, err = o.service.log.History(ctx, o.partition, eventlog.ProvisioningTopics(), o.state.Apply); err != nil {
		o.close()
		return err
	}
	for _, client := range o.state.Waiting() {
		o.turns.call(client)
	}
	return nil
}

func (o *owner) close() {
	o.transactor.Close()
	o.service.metrics.open.Sub(float64(o.open))
}

// run works until ctx ends, and then waits for the acts under way, or until something fails.
func (o *owner) run(ctx context.Context) error {
	acts, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer func() { // nobody acts for a partition that was given up
		stop()
		for len(o.busy) > 0 {
			o.release(<-o.ended)
		}
	}()
	for ctx.Err() == nil {
		if err := o.step(ctx, acts); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return o.drain(ctx, stop)
}

// step begins what may begin, and takes note of the next thing that happens.
func (o *owner) step(ctx, acts context.Context) error {
	due := o.advance(time.Now())
	if err := o.commit(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	for _, s := range o.begun {
		go o.act(acts, s)
	}
	o.begun = o.begun[:0]
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-o.news.ready:
		return o.listen(ctx)
	case e := <-o.ended:
		o.finish(e)
		for len(o.ended) > 0 { // nobody else receives
			o.finish(<-o.ended)
		}
	case <-timer.C:
	}
	return nil
}

// listen hears the news, or reads them where there were too many.
func (o *owner) listen(ctx context.Context) error {
	news, missed := o.news.take()
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
		o.turns.call(string(event.AppendKey(nil)))
	}
	return err
}

// drain waits for the acts under way and tells what became of them. What takes too long is cut off, or everything at once when
// somebody else may have the partition by now: its intent stays, so that the next owner looks whether it happened.
func (o *owner) drain(ctx context.Context, stop context.CancelFunc) error {
	if errors.Is(context.Cause(ctx), eventlog.ErrLost) {
		stop()
	}
	bound := time.AfterFunc(o.service.cfg.Drain, stop)
	defer bound.Stop()
	for {
		if err := o.commit(context.WithoutCancel(ctx)); err != nil || len(o.busy) == 0 {
			return err
		}
		e := <-o.ended
		if e.err != nil && errors.Is(e.err, context.Canceled) {
			o.release(e)
			continue
		}
		o.finish(e)
	}
}

// act does a task. It runs beside the owner's goroutine.
func (o *owner) act(ctx context.Context, s started) {
	o.service.metrics.running.Inc()
	bound, cancel := context.WithTimeout(ctx, o.service.cfg.Step)
	outcome, err := s.task.backend.act(bound, s.task)
	cancel()
	o.service.metrics.running.Dec()
	s.tell(ctx, err)
	o.ended <- ended{task: s.task, outcome: outcome, err: err} // there is room: it has a slot
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

// release takes an act that has ended out of the way of others.
func (o *owner) release(e ended) {
	delete(o.busy, e.task.order.Client)
	<-o.service.slots
}

// finish notes what became of an act.
func (o *owner) finish(e ended) {
	o.release(e)
	o.service.metrics.acts.WithLabelValues(e.task.backend.Name(), e.outcome).Inc()
	o.log(e)
	o.note(o.outcome(e, time.Now())...)
	o.turns.call(e.task.order.Client)
}

func (o *owner) log(e ended) {
	t := e.task
	logger := o.service.logger.With("client", t.order.Client, "order", t.order.ID, "version", t.order.Version, "step", t.step,
		"backend", t.backend.Name(), "trace_id", t.trace)
	if e.err != nil {
		logger.Warn("a step failed", "attempt", t.attempt, "error", e.err)
		return
	}
	logger.Info("a step is done", "outcome", e.outcome)
}

// note folds events, which commit appends.
func (o *owner) note(events ...schemas.Event) {
	for _, event := range events {
		o.state.Apply(event)
	}
	o.told = append(o.told, events...)
}

// commit appends what was noted in one transaction.
func (o *owner) commit(ctx context.Context) error {
	o.service.metrics.open.Add(float64(o.state.Open() - o.open))
	o.open = o.state.Open()
	if len(o.told) == 0 {
		return nil
	}
	err := o.transactor.Run(ctx, func(tx *eventlog.Tx) error {
		for _, event := range o.told {
			if err := tx.AppendTo(o.partition, event); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		for _, s := range o.begun { // they will not be tried
			s.told(errUntried)
			o.release(ended{task: s.task})
		}
		o.begun = nil
		return err
	}
	for _, event := range o.told {
		if p, ok := event.(*schemas.ProvisioningProgressed); ok {
			o.service.metrics.facts.WithLabelValues(string(p.State)).Inc()
		}
	}
	o.told = o.told[:0]
	return nil
}
