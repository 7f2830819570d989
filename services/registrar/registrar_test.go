package registrar

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

// office is a log and what the test knows of it.
type office struct {
	*testing.T
	log      *eventlog.Log
	registry *prometheus.Registry
}

func open(t *testing.T) *office {
	cluster := eventlogtest.Start(t)
	return &office{T: t, log: cluster.Open(t, cluster.Config()), registry: prometheus.NewRegistry()}
}

// run runs a registrar and returns what stops it.
func (o *office) run(group eventlog.Group, reg prometheus.Registerer) (stop func()) {
	o.Helper()
	catalogue, err := products.Default()
	if err != nil {
		o.Fatal(err)
	}
	s, err := New(Config{Group: group, MaxRecords: 7, Products: catalogue.Sold}, o.log, slog.New(slog.DiscardHandler), reg)
	if err != nil {
		o.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			o.Error(err)
		}
	})
	o.Cleanup(stop)
	return stop
}

func (o *office) append(events ...schemas.Event) {
	o.Helper()
	for _, e := range events {
		if _, err := o.log.Append(o.Context(), e); err != nil {
			o.Fatal(err)
		}
	}
}

// records returns what a topic holds, each decoded.
func (o *office) records(topic eventlog.Topic) []schemas.Event {
	o.Helper()
	var all []schemas.Event
	events := o.log.NewEvents()
	for r, err := range o.log.Read(o.Context(), eventlog.ReadOptions{Topic: topic}) {
		if err != nil {
			o.Fatal(err)
		}
		event, err := events.Decode(o.Context(), r)
		if err != nil {
			o.Fatal(err)
		}
		all = append(all, event)
	}
	return all
}

// until reads a topic until a record satisfies, and returns it.
func (o *office) until(topic eventlog.Topic, wanted func(schemas.Event) bool) schemas.Event {
	o.Helper()
	ctx, cancel := context.WithTimeout(o.Context(), time.Minute)
	defer cancel()
	events := o.log.NewEvents()
	for r, err := range o.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Follow: true}) {
		if err != nil {
			o.Fatal(err)
		}
		if event, err := events.Decode(ctx, r); err == nil && wanted(event) {
			return event
		}
	}
	o.Fatal("it did not come in time")
	return nil
}

// answer waits for the last fact that follows from an input.
func (o *office) answer(cause string) schemas.Event {
	o.Helper()
	return o.until(eventlog.TopicClients, func(e schemas.Event) bool {
		_, first := e.(*schemas.ClientRegistered)
		return !first && causeOf(e) == cause
	})
}

func causeOf(e schemas.Event) string {
	switch f := e.(type) {
	case *schemas.ClientRegistered:
		return f.Cause
	case *schemas.OrderAccepted:
		return f.Cause
	case *schemas.OrderChanged:
		return f.Cause
	case *schemas.OrderCancelled:
		return f.Cause
	case *schemas.OrderRejected:
		return f.Cause
	}
	return ""
}

func head(id string) schemas.Envelope {
	return schemas.Envelope{EventID: id, EventTime: 1, ReceivedTime: schemas.TimeOf(time.Now()), TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Origin: "test"}
}

func place(id, client, order, namespace string) *schemas.OrderPlaced {
	return &schemas.OrderPlaced{Envelope: head(id), OrderID: order, Client: client, ExpectedVersion: schemas.AnyVersion, Terms: terms(namespace)}
}

func terms(namespace string) schemas.Terms {
	return schemas.Terms{Namespace: namespace, Environment: "prod", Archtype: "Edge", Hardware: "Shared", Product: "Product-A"}
}

func TestAnOrderIsAnsweredByFactsAndState(t *testing.T) {
	o := open(t)
	stop := o.run("registrar", o.registry)
	wrong := place("e4", "c1", "o4", "n4")
	wrong.Product = "Product-X"
	o.append(place("e1", "c1", "o1", "n1"), place("e1", "c1", "o1", "n1"), place("e2", "c1", "o1", "n2"), wrong,
		&schemas.OrderChangeRequested{Envelope: head("e5"), OrderID: "o1", Client: "c1", ExpectedVersion: 9, Terms: terms("n1")},
		&schemas.OrderCancelRequested{Envelope: head("e6"), OrderID: "o1", Client: "c1", ExpectedVersion: 1})
	if accepted, is := o.answer("e1").(*schemas.OrderAccepted); !is || accepted.Version != 1 || accepted.Environment != "Production" || accepted.TraceID != wrong.TraceID {
		t.Errorf("got %+v", accepted)
	}
	f := func(cause string, reason schemas.RejectionReason) {
		t.Helper()
		if rejected, is := o.answer(cause).(*schemas.OrderRejected); !is || rejected.Reason != reason {
			t.Errorf("got %+v, want %s", rejected, reason)
		}
	}
	f("e2", schemas.RejectedDuplicate)
	f("e4", schemas.RejectedUnknownProduct)
	f("e5", schemas.RejectedStale)
	if cancelled, is := o.answer("e6").(*schemas.OrderCancelled); !is || cancelled.Version != 2 {
		t.Errorf("got %+v", cancelled)
	}
	o.append(&schemas.ProvisioningProgressed{Envelope: head("p1"), OrderID: "o1", Client: "c1", Version: 2, State: schemas.ProvisioningDeprovisioned, Backend: "b"})
	state := o.until(eventlog.TopicClientState, func(e schemas.Event) bool { return e.(*schemas.ClientState).ProvisioningNext > 0 }).(*schemas.ClientState)
	if len(state.Orders) != 1 || state.Orders[0].Status != schemas.OrderStatusDeprovisioned || state.OrdersNext != 6 || state.Version != 7 {
		t.Errorf("got %+v", state)
	}
	stop()
	o.counted(map[string]float64{"facts_total": 6, "rejections_total": 3, "repeats_total": 1, "decision_seconds": 6, "dead_letters_total": 0})
}

func (o *office) counted(want map[string]float64) {
	o.Helper()
	families, err := o.registry.Gather()
	if err != nil {
		o.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			got[strings.TrimPrefix(f.GetName(), "fieldlog_registrar_")] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	for name, n := range want {
		if got[name] != n {
			o.Errorf("%s is %v, want %v", name, got[name], n)
		}
	}
}

func TestWhatCannotBeDecidedIsADeadLetter(t *testing.T) {
	o := open(t)
	stop := o.run("registrar", o.registry)
	o.append(place("", "c1", "o1", "n1"), place("e2", "c1", "o2", "n2"))
	o.answer("e2")
	f := func(detail, key string) {
		t.Helper()
		letter := o.until(eventlog.TopicDeadLetters, func(e schemas.Event) bool { return strings.Contains(e.(*schemas.DeadLetter).Detail, detail) }).(*schemas.DeadLetter)
		if letter.Reason != schemas.ReasonInvalid || letter.Topic != "orders" || string(letter.Key) != key || letter.Origin != "registrar" || len(letter.Value) == 0 {
			t.Errorf("got %+v", letter)
		}
	}
	f("event_id", "c1")
	o.repeat("e2", "c9")
	f("not its client", "c9")
	stop()
	o.counted(map[string]float64{"dead_letters_total": 2, "facts_total": 2})
}

// repeat appends an input again, under another key.
func (o *office) repeat(id, key string) {
	o.Helper()
	transactor, err := o.log.Transactor(o.Context(), "test")
	if err != nil {
		o.Fatal(err)
	}
	defer transactor.Close()
	for r, err := range o.log.Read(o.Context(), eventlog.ReadOptions{Topic: eventlog.TopicOrders}) {
		if err != nil {
			o.Fatal(err)
		}
		if r.Header("ce_id") == id {
			r.Key = []byte(key)
			if err := transactor.Run(o.Context(), func(tx *eventlog.Tx) error { tx.Repeat(r); return nil }); err != nil {
				o.Fatal(err)
			}
		}
	}
}

// TestTheStateIsAFoldOfTheLog lets registrars come and go, and be reset, while inputs and progress arrive, and compares their work
// with a fold of the whole log.
func TestTheStateIsAFoldOfTheLog(t *testing.T) {
	o := open(t)
	random := rand.New(rand.NewPCG(5, 6))
	stops := []func(){o.run("registrar", nil)}
	inputs := 0
	for round := range 6 {
		for range 50 {
			o.append(randomEvent(random, &inputs))
		}
		next := o.run("registrar", nil)
		if round%2 == 1 {
			stops[0]()
			stops = stops[1:]
		}
		stops = append(stops, next)
	}
	for i := range 8 { // the last input of each client, whatever its partition
		o.append(place(fmt.Sprint("last", i), fmt.Sprint("c", i), "last", "last"))
	}
	for i := range 8 {
		o.answer(fmt.Sprint("last", i))
	}
	for _, stop := range stops {
		stop()
	}
	facts := len(o.records(eventlog.TopicClients))
	stop := o.run("reset", nil) // a group that knows nothing
	for i := range 8 {          // each client's partition is passed once more
		o.append(place(fmt.Sprint("end", i), fmt.Sprint("c", i), "end", "end"))
		o.answer(fmt.Sprint("end", i))
	}
	stop()
	o.compare(facts)
}

// randomEvent returns an input, or progress of some order.
func randomEvent(random *rand.Rand, inputs *int) schemas.Event {
	client, order, namespace := fmt.Sprint("c", random.IntN(8)), fmt.Sprint("o", random.IntN(5)), fmt.Sprint("n", random.IntN(4))
	*inputs++
	id := fmt.Sprint("e", *inputs)
	if random.IntN(5) == 0 {
		id = fmt.Sprint("e", 1+random.IntN(*inputs)) // told again, or an id that is used twice
	}
	expected := int32(random.IntN(4) - 1)
	switch random.IntN(6) {
	case 0:
		return &schemas.OrderChangeRequested{Envelope: head(id), OrderID: order, Client: client, ExpectedVersion: expected, Terms: terms(namespace)}
	case 1:
		return &schemas.OrderCancelRequested{Envelope: head(id), OrderID: order, Client: client, ExpectedVersion: expected}
	case 2:
		states := schemas.ProvisioningStates()
		return &schemas.ProvisioningProgressed{Envelope: head(id), OrderID: order, Client: client, Version: 1, State: states[random.IntN(len(states))]}
	}
	return place(id, client, order, namespace)
}

// compare checks that each input has one answer, that the reset group added none, and that the states are what the facts make.
func (o *office) compare(before int) {
	o.Helper()
	all := o.records(eventlog.TopicClients)
	if added := len(all) - before; added < 8 || added > 16 { // accepted or rejected, and perhaps registered
		o.Errorf("the reset group added %d facts to 8 orders", added)
	}
	answers, folded := map[string]int{}, map[string]schemas.ClientState{}
	for _, fact := range all {
		client := string(fact.AppendKey(nil))
		answers[fact.Kind().Fact+client+causeOf(fact)]++
		folded[client] = clients.Apply(folded[client], fact)
	}
	for answer, times := range answers {
		if times != 1 {
			o.Errorf("%s was told %d times", answer, times)
		}
	}
	latest := map[string]schemas.ClientState{}
	for _, e := range o.records(eventlog.TopicClientState) {
		latest[e.(*schemas.ClientState).Client] = *e.(*schemas.ClientState)
	}
	if len(latest) != len(folded) {
		o.Errorf("%d states, %d clients", len(latest), len(folded))
	}
	for client, state := range latest {
		f := folded[client]
		for _, order := range state.Orders {
			i := len(f.Orders)
			for k := range f.Orders {
				if f.Orders[k].OrderID == order.OrderID {
					i = k
				}
			}
			if i == len(f.Orders) || fmt.Sprint(f.Orders[i].Terms) != fmt.Sprint(order.Terms) && clients.Live(order.Status) || f.Orders[i].Version != order.Version {
				o.Errorf("%s: order %+v is not what the facts make: %+v", client, order, f.Orders)
			}
		}
		if fmt.Sprint(f.Handled) != fmt.Sprint(state.Handled) || f.Registered != state.Registered {
			o.Errorf("%s: the inputs that were handled are %v, by the facts %v", client, state.Handled, f.Handled)
		}
	}
}
