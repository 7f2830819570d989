package clients

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/fieldlog/fieldlog/schemas"
)

// ErrUnanswerable says that an input names no client, order or event that a fact could be about.
var ErrUnanswerable = errors.New("the input cannot be answered")

// Input folds the input at an offset of topic orders into its client's state, and returns the facts that follow. An input that
// is folded in already changes nothing. ErrUnanswerable means that it is bad beyond a rejection; the state is then as it was.
func Input(s schemas.ClientState, input schemas.Event, offset int64, products Products) (schemas.ClientState, []schemas.Event, error) {
	if offset < s.OrdersNext {
		return s, nil, nil
	}
	facts, err := Decide(s, input, offset, products)
	if err != nil {
		return s, nil, err
	}
	for _, fact := range facts {
		s = Apply(s, fact)
	}
	if s.Version > 0 {
		s.OrdersNext = offset + 1
	}
	return s, facts, nil
}

// Progress folds the fact at an offset of topic provisioning into its client's state. One that is folded in already, or of a client
// who never ordered, changes nothing.
func Progress(s schemas.ClientState, fact schemas.Event, offset int64) schemas.ClientState {
	if offset < s.ProvisioningNext || s.Version == 0 {
		return s
	}
	s = Apply(s, fact)
	s.ProvisioningNext = offset + 1
	return s
}

// Decide returns the facts that follow from an input at an offset of topic orders; none when it was decided before. Whatever
// the answer, it is one: an input that is refused is rejected by a fact.
func Decide(s schemas.ClientState, input schemas.Event, offset int64, products Products) ([]schemas.Event, error) {
	d := decision{state: s, decided: schemas.Decided{Cause: input.Head().EventID, CauseOffset: offset}, head: *input.Head(), products: products}
	switch in := input.(type) {
	case *schemas.OrderPlaced:
		d.client, d.order, d.action, d.by, d.expected = in.Client, in.OrderID, schemas.ActionPlace, in.RequestedBy, in.ExpectedVersion
		return d.decide(func() []schemas.Event { return d.place(Normalise(in.Terms)) })
	case *schemas.OrderChangeRequested:
		d.client, d.order, d.action, d.by, d.expected = in.Client, in.OrderID, schemas.ActionChange, in.RequestedBy, in.ExpectedVersion
		return d.decide(func() []schemas.Event { return d.change(Normalise(in.Terms)) })
	case *schemas.OrderCancelRequested:
		d.client, d.order, d.action, d.by, d.expected = in.Client, in.OrderID, schemas.ActionCancel, in.RequestedBy, in.ExpectedVersion
		return d.decide(func() []schemas.Event { return d.cancel(in.Reason) })
	}
	return nil, fmt.Errorf("%w: %q is no input of a client", ErrUnanswerable, input.Kind().Fact)
}

// decision is one being made.
type decision struct {
	state    schemas.ClientState
	decided  schemas.Decided
	head     schemas.Envelope
	products Products

	client, order, by string
	action            schemas.OrderAction
	expected          int32
}

func (d *decision) decide(act func() []schemas.Event) ([]schemas.Event, error) {
	for _, text := range []string{d.head.EventID, d.client, d.order} {
		if text == "" || len(text) > maxWord {
			return nil, fmt.Errorf("%w: event_id, client and order_id have 1 to %d bytes", ErrUnanswerable, maxWord)
		}
	}
	d.by, d.head.TraceID = cut(d.by, maxWord), cut(d.head.TraceID, maxWord)
	if wasHandled(d.state, d.head.EventID) {
		return nil, nil
	}
	return act(), nil
}

func (d *decision) place(t schemas.Terms) []schemas.Event {
	if i := indexOf(d.state, d.order); i >= 0 {
		if d.state.Orders[i].PlacedEvent == d.head.EventID {
			return nil
		}
		return d.reject(schemas.RejectedDuplicate, "there is an order %s already; an id is used once", d.order)
	}
	if d.expected > 0 {
		return d.reject(schemas.RejectedStale, "there is no order %s yet, let alone at version %d", d.order, d.expected)
	}
	if v := CheckOrder(d.client, d.order, t, d.products); v != nil {
		return d.reject(v.Reason, "%s", v)
	}
	live := 0
	for _, o := range d.state.Orders {
		if !Live(o.Status) {
			continue
		}
		if live++; o.Namespace == t.Namespace {
			return d.reject(schemas.RejectedNamespace, "order %s is in namespace %s", o.OrderID, o.Namespace)
		}
	}
	if live >= MaxLive {
		return d.reject(schemas.RejectedTooMany, "there are %d orders; cancel one first", live)
	}
	var facts []schemas.Event
	if d.state.Registered == 0 {
		facts = append(facts, &schemas.ClientRegistered{Envelope: d.envelope(schemas.KindClientRegistered), Decided: d.decided, Client: d.client})
	}
	return append(facts, &schemas.OrderAccepted{
		Envelope: d.envelope(schemas.KindOrderAccepted), Decided: d.decided, OrderID: d.order, Client: d.client,
		Terms: t, Version: 1, RequestedBy: d.by,
	})
}

func (d *decision) change(t schemas.Terms) []schemas.Event {
	o, rejection := d.find()
	if rejection != nil {
		return rejection
	}
	if t.Namespace != o.Namespace {
		return d.reject(schemas.RejectedInvalid, "namespace: the order is in %s and stays there; cancel it and place another one", o.Namespace)
	}
	if v := CheckOrder(d.client, d.order, t, d.products); v != nil {
		return d.reject(v.Reason, "%s", v)
	}
	_, before, known := d.products(o.Product)
	if _, after, _ := d.products(t.Product); known && after != before {
		return d.reject(schemas.RejectedInvalid, "product: %s is provisioned elsewhere than %s; cancel the order and place another one", t.Product, o.Product)
	}
	return []schemas.Event{&schemas.OrderChanged{
		Envelope: d.envelope(schemas.KindOrderChanged), Decided: d.decided, OrderID: d.order, Client: d.client,
		Terms: t, Version: o.Version + 1, RequestedBy: d.by,
	}}
}

func (d *decision) cancel(reason string) []schemas.Event {
	o, rejection := d.find()
	if rejection != nil {
		return rejection
	}
	return []schemas.Event{&schemas.OrderCancelled{
		Envelope: d.envelope(schemas.KindOrderCancelled), Decided: d.decided, OrderID: d.order, Client: d.client,
		Reason: cut(reason, maxWord), Version: o.Version + 1, RequestedBy: d.by,
	}}
}

// find returns the order that an input is about, or the input's rejection.
func (d *decision) find() (schemas.OrderState, []schemas.Event) {
	i := indexOf(d.state, d.order)
	if i < 0 {
		return schemas.OrderState{}, d.reject(schemas.RejectedUnknownOrder, "there is no order %s", d.order)
	}
	o := d.state.Orders[i]
	switch {
	case o.Status == schemas.OrderStatusCancelled || o.Status == schemas.OrderStatusDeprovisioned:
		return o, d.reject(schemas.RejectedCancelled, "order %s was cancelled at version %d", d.order, o.Version)
	case d.expected >= 0 && d.expected != o.Version:
		return o, d.reject(schemas.RejectedStale, "order %s is at version %d, not %d", d.order, o.Version, d.expected)
	}
	return o, nil
}

func (d *decision) reject(reason schemas.RejectionReason, format string, args ...any) []schemas.Event {
	version := int32(0)
	if i := indexOf(d.state, d.order); i >= 0 {
		version = d.state.Orders[i].Version
	}
	return []schemas.Event{&schemas.OrderRejected{
		Envelope: d.envelope(schemas.KindOrderRejected), Decided: d.decided, OrderID: d.order, Client: d.client,
		Action: d.action, Reason: reason, Detail: cut(fmt.Sprintf(format, args...), maxDetail), Version: version, RequestedBy: d.by,
	}}
}

// envelope is the input's, with an id of the fact's own: the same decision told twice has one id.
func (d *decision) envelope(kind schemas.Kind) schemas.Envelope {
	e := d.head
	e.EventID = derived(kind.Fact, d.client, d.head.EventID)
	e.Origin, e.Publisher = "registrar", "fieldlog"
	return e
}

// Published returns a state as it is appended: with an id that follows from what was folded in.
func Published(s schemas.ClientState) schemas.ClientState {
	s.EventID = derived(schemas.KindClientState.Fact, s.Client, fmt.Sprint(s.Version), fmt.Sprint(s.OrdersNext), fmt.Sprint(s.ProvisioningNext))
	s.Origin, s.Publisher = "registrar", "fieldlog"
	return s
}

// derived returns a UUID of version 8 (RFC 9562) that follows from texts.
func derived(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	sum := h.Sum(nil)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	digits := hex.EncodeToString(sum[:16])
	return digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
}
