package provisioner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/projections/provisioning"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// task is the next thing to do for an order.
type task struct {
	order   backend.Order
	trace   string // the order's own trace id, in its sender's spelling; what backends get is W3C's
	backend *guarded
	effect  string
	remove  bool
	step    string
	done    int32 // steps that are done before it
	steps   int32
	attempt int32  // failed tries before this one
	retried string // the operator's retry it follows, if any
	again   bool   // an earlier try may have acted
}

// stepRemove is the only step of an order that was cancelled.
const stepRemove = "remove"

// task returns what the order needs next.
func (o *owner) task(order *provisioning.Order) task {
	p := order.Progress()
	t := task{order: asked(order), trace: order.TraceID, backend: o.service.backendOf(order.Terms.Product), done: p.Done, attempt: p.Attempt, retried: p.Retried, remove: order.Cancelled}
	plan := []string{stepRemove}
	if !t.remove {
		plan = t.backend.Plan(t.order)
	}
	t.steps = int32(len(plan))
	t.step = plan[min(int(t.done), len(plan)-1)]
	t.effect = effectID(order.Cause, t.backend.Name(), t.step)
	t.again = o.state.Begun(t.effect) || p.Attempt > 0 || p.Retried != "" // a try that failed may have acted before it did
	return t
}

func (s *Service) backendOf(product string) *guarded {
	name := s.cfg.Products[product]
	if name == "" {
		name = s.cfg.Default
	}
	return s.backends[name]
}

// asked returns an order as a backend sees it.
func asked(o *provisioning.Order) backend.Order {
	b := backend.Order{
		ID: o.ID, Client: o.Client, Namespace: o.Terms.Namespace, Environment: o.Terms.Environment, Archtype: o.Terms.Archtype,
		Hardware: o.Terms.Hardware, Product: o.Terms.Product, Version: o.Version, Born: o.Born, TraceID: eventlog.TraceID(o.TraceID), Parameters: map[string]string{},
	}
	for _, p := range o.Terms.Parameters {
		b.Parameters[p.Name] = p.Value
	}
	return b
}

// effectID names an effect for ever: the same input, effector and step are the same effect, whoever tries it and how often.
func effectID(cause, effector, step string) string {
	sum := sha256.Sum256([]byte(cause + "\x00" + effector + "\x00" + step))
	return hex.EncodeToString(sum[:16])
}

// envelope returns the head of an event about a task. The id is the same for the same thing told again, and another one after an
// operator's retry, when tries are counted anew.
func (o *owner) envelope(t task, kind, what string, now time.Time) schemas.Envelope {
	id := fmt.Sprintf("%s-%s-%d", t.effect, what, t.attempt)
	if t.retried != "" {
		id += "-" + t.retried
	}
	return schemas.Envelope{
		EventID:   id,
		EventType: "fieldlog.provisioner." + kind + "." + t.order.Client + "." + what,
		EventTime: schemas.TimeOf(now), ReceivedTime: schemas.TimeOf(now), TraceID: t.trace,
		Attempt: t.attempt, Origin: "provisioner", Host: o.service.cfg.Host, Publisher: "fieldlog",
	}
}

// fact returns the event that tells how a task is.
func (o *owner) fact(t task, state schemas.ProvisioningState, now time.Time) *schemas.ProvisioningProgressed {
	return &schemas.ProvisioningProgressed{
		Envelope: o.envelope(t, "provisioning", string(state), now), OrderID: t.order.ID, Client: t.order.Client, Version: t.order.Version,
		State: state, Step: t.done, Steps: t.steps, StepName: t.step, Backend: t.backend.Name(), Namespace: t.order.Namespace,
	}
}

// abandoned returns the fact that ends the work on a version with a reason, and the notification of it.
func (o *owner) abandoned(t task, reason, detail string, tries int32, now time.Time) []schemas.Event {
	fact := o.fact(t, schemas.ProvisioningAbandoned, now)
	fact.Reason, fact.Detail = reason, detail
	return []schemas.Event{fact, &schemas.NotificationRaised{
		Envelope: o.envelope(t, "notification", string(schemas.NoticeOrderAbandoned), now), Notice: schemas.NoticeOrderAbandoned,
		OrderID: fact.OrderID, Client: fact.Client, Version: fact.Version, Reason: reason, Detail: detail, Attempts: tries,
		StepName: fact.StepName, Backend: fact.Backend, Namespace: fact.Namespace,
	}}
}

// effect returns an entry of the ledger.
func (o *owner) effect(t task, state schemas.EffectState, detail string, now time.Time) *schemas.EffectRecorded {
	return &schemas.EffectRecorded{
		Envelope: o.envelope(t, "effect", string(state), now), EffectID: t.effect, OrderID: t.order.ID, Client: t.order.Client,
		Version: t.order.Version, Effector: t.backend.Name(), Step: t.step, State: state, Detail: detail,
	}
}

// outcome returns the events that tell what became of an act.
func (o *owner) outcome(e ended, now time.Time) []schemas.Event {
	t := e.task
	if e.err == nil {
		return append([]schemas.Event{o.effect(t, schemas.EffectDone, "", now)}, o.progress(t, now)...)
	}
	reason, detail := "failed", text(e.err)
	var refusal *backend.Refusal
	refused := errors.As(e.err, &refusal)
	if refused {
		reason = refusal.Reason
	}
	failed := o.fact(t, schemas.ProvisioningFailed, now)
	failed.Reason, failed.Detail = reason, detail
	events := []schemas.Event{o.effect(t, schemas.EffectFailed, detail, now), failed}
	if refused || int(t.attempt)+1 >= o.service.cfg.Attempts {
		return append(events, o.abandoned(t, reason, detail, t.attempt+1, now)...)
	}
	failed.NextTry = schemas.TimeOf(now.Add(pause.After(o.service.cfg.First, o.service.cfg.Last, int(t.attempt))))
	return events
}

// progress returns the facts of a step that is done.
func (o *owner) progress(t task, now time.Time) []schemas.Event {
	t.done++
	if t.remove {
		return []schemas.Event{o.fact(t, schemas.ProvisioningDeprovisioned, now)}
	}
	facts := []schemas.Event{o.fact(t, schemas.ProvisioningStep, now)}
	if t.done == t.steps {
		facts = append(facts, o.fact(t, schemas.ProvisioningSucceeded, now))
	}
	return facts
}

// maxDetail bounds an error in an event, in bytes.
const maxDetail = 1000

func text(err error) string {
	words := strings.ToValidUTF8(err.Error(), "?")
	if len(words) > maxDetail {
		words = strings.ToValidUTF8(words[:maxDetail], "") + "..."
	}
	return words
}
