package clients

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog/avro"
	"github.com/fieldlog/fieldlog/projections/projectiontest"
	"github.com/fieldlog/fieldlog/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

func products(name string) (hardware []string, backend string, known bool) {
	sold := map[string][]string{"Product-A": schemas.HardwareClasses(), "Product-B": {"Dedicated"}, "Product-W": schemas.HardwareClasses()}
	if name == "Product-W" {
		backend = "webhook"
	}
	return sold[name], backend, sold[name] != nil
}

func head(id string, at int) schemas.Envelope {
	return schemas.Envelope{EventID: id, EventType: "company.app.event.c1.action", EventTime: schemas.Time(at), ReceivedTime: schemas.Time(at + 5), TraceID: "trace-" + id}
}

func terms(namespace string) schemas.Terms {
	return schemas.Terms{Namespace: namespace, Environment: "dev", Archtype: "SaaS", Hardware: "Shared", Product: "Product-A"}
}

// place, change and cancel make inputs; the event id names them.
func place(id, order, namespace string) *schemas.OrderPlaced {
	return &schemas.OrderPlaced{Envelope: head(id, 10), OrderID: order, Client: "c1", Terms: terms(namespace), ExpectedVersion: schemas.AnyVersion, RequestedBy: "ana"}
}

func change(id, order, namespace string, expected int32) *schemas.OrderChangeRequested {
	return &schemas.OrderChangeRequested{Envelope: head(id, 20), OrderID: order, Client: "c1", Terms: terms(namespace), ExpectedVersion: expected}
}

func cancel(id, order string, expected int32) *schemas.OrderCancelRequested {
	return &schemas.OrderCancelRequested{Envelope: head(id, 30), OrderID: order, Client: "c1", Reason: "moved", ExpectedVersion: expected}
}

func progress(order string, version int32, state schemas.ProvisioningState, at int) *schemas.ProvisioningProgressed {
	return &schemas.ProvisioningProgressed{Envelope: head(fmt.Sprint(order, version, state), at), OrderID: order, Client: "c1", Version: version, State: state,
		Step: 1, Steps: 3, StepName: "workload", Reason: "r", Detail: "d", Backend: "simulated"}
}

func intervene(order string, action schemas.Intervention) *schemas.ProvisioningIntervened {
	return &schemas.ProvisioningIntervened{Envelope: head("i"+order, 50), OrderID: order, Client: "c1", Action: action, By: "ops"}
}

// positioned is an event where it lies in the log.
type positioned struct {
	offset int64
	event  schemas.Event
}

// story is a client's events in the order in which the registrar sees them.
func story() []positioned {
	var events []positioned
	next := map[string]int64{}
	add := func(all ...schemas.Event) {
		for _, e := range all {
			topic := e.Kind().Topic
			events = append(events, positioned{next[topic], e})
			next[topic] += 2 // a marker of a transaction lies between
		}
	}
	wrong := place("p4", "o4", "n4")
	wrong.Product = "Product-X"
	add(
		place("p0", "bad id!", "n0"), place("p1", "o1", "n1"), place("p1", "o1", "n1"), place("p2", "o1", "n2"),
		progress("o1", 1, schemas.ProvisioningRequested, 41), progress("o1", 1, schemas.ProvisioningStarted, 42),
		place("p3", "o3", "n1"), wrong,
		progress("o1", 1, schemas.ProvisioningStep, 43), progress("o1", 1, schemas.ProvisioningFailed, 44),
		intervene("o1", schemas.InterventionAbandon), progress("o1", 1, schemas.ProvisioningAbandoned, 45),
		intervene("o1", schemas.InterventionRetry), progress("o1", 1, schemas.ProvisioningSucceeded, 46),
		change("c1", "o1", "n1", 7), change("c2", "o1", "n1", 1), change("c2", "o1", "n1", 1), change("c3", "o1", "n9", 2),
		progress("o1", 1, schemas.ProvisioningFailed, 47), progress("o1", 2, schemas.ProvisioningStarted, 48),
		place("p5", "o5", "n5"), cancel("k1", "o1", 1), cancel("k2", "o1", 2), cancel("k3", "o1", schemas.AnyVersion),
		place("p6", "o6", "n1"), progress("o5", 1, schemas.ProvisioningSucceeded, 49), progress("o1", 3, schemas.ProvisioningDeprovisioned, 50),
		place("p7", "o6", "n1"), cancel("k4", "o9", schemas.AnyVersion), progress("o9", 1, schemas.ProvisioningFailed, 51),
	)
	return events
}

// fold is one event of the registrar's work.
func fold(s schemas.ClientState, e positioned) schemas.ClientState {
	if e.event.Kind().Topic == schemas.KindProvisioningProgressed.Topic {
		return Progress(s, e.event, e.offset)
	}
	s, _, err := Input(s, e.event, e.offset, products)
	if err != nil {
		panic(err)
	}
	return s
}

func describe(s schemas.ClientState) string {
	text := fmt.Sprintf("%+v", s)
	return strings.ReplaceAll(text, "{OrderID", "\n  {OrderID") + "\n"
}

func TestAClientsStateIsAFold(t *testing.T) {
	versions, err := schemas.KindClientState.Versions()
	if err != nil {
		t.Fatal(err)
	}
	schema, err := avro.Parse(versions[len(versions)-1].Text)
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := avro.NewEncoder[schemas.ClientState](schema)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := avro.NewDecoder[schemas.ClientState](schema, schema)
	if err != nil {
		t.Fatal(err)
	}
	projectiontest.RunFold(t, projectiontest.Fold[schemas.ClientState, positioned]{
		New:   func() schemas.ClientState { return schemas.ClientState{} },
		Apply: fold,
		Stored: func(s schemas.ClientState) schemas.ClientState {
			var back schemas.ClientState
			if err := decoder.Decode(encoder.Append(nil, &s), &back); err != nil {
				t.Fatal(err)
			}
			return back
		},
		Describe: describe,
		Events:   story(),
	})
}

// TestTheStory compares the facts and the state of the story with what was found right once.
func TestTheStory(t *testing.T) {
	var text bytes.Buffer
	var s schemas.ClientState
	for _, e := range story() {
		fmt.Fprintf(&text, "%s@%d %s\n", e.event.Kind().Topic, e.offset, e.event.Head().EventID)
		if e.event.Kind().Topic != schemas.KindOrderPlaced.Topic {
			s = fold(s, e)
			continue
		}
		var facts []schemas.Event
		s, facts, _ = Input(s, e.event, e.offset, products)
		for _, fact := range facts {
			fmt.Fprintf(&text, "    %s %+v\n", fact.Kind().Fact, fact)
		}
	}
	text.WriteString(describe(s))
	golden(t, "testdata/story.txt", text.Bytes())
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it was; look at it with -update and git diff:\n%s", path, got)
	}
}

// TestTheFactsAloneMakeTheState folds the facts of one topic, then those of the other, in place of the inputs: it is how a state
// is rebuilt, and shows that the interleaving of the topics does not matter.
func TestTheFactsAloneMakeTheState(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		live, facts, progress := randomLife(random)
		var rebuilt schemas.ClientState
		for _, fact := range facts {
			rebuilt = Apply(rebuilt, fact)
		}
		for _, p := range progress {
			rebuilt = Progress(rebuilt, p.event, p.offset)
		}
		live.OrdersNext = rebuilt.OrdersNext // the state also notes inputs that came to nothing
		if got, want := describe(rebuilt), describe(live); got != want {
			t.Fatalf("rebuilt %s\nwant %s", got, want)
		}
	}
}

// randomLife lets inputs and progress happen at random, and checks what holds after each: one live order a namespace, versions that
// count up, bounds.
func randomLife(random *rand.Rand) (s schemas.ClientState, facts []schemas.Event, told []positioned) {
	states := schemas.ProvisioningStates()
	for offset := range int64(120) {
		id, order := fmt.Sprint("e", random.IntN(80)), fmt.Sprint("o", random.IntN(6))
		namespace, expected := fmt.Sprint("n", random.IntN(4)), int32(random.IntN(6)-1)
		var made []schemas.Event
		switch random.IntN(6) {
		case 0:
			s, made, _ = Input(s, place(id, order, namespace), offset, products)
		case 1:
			s, made, _ = Input(s, change(id, order, namespace, expected), offset, products)
		case 2:
			s, made, _ = Input(s, cancel(id, order, expected), offset, products)
		case 3:
			if s.Version > 0 {
				told = append(told, positioned{offset, intervene(order, schemas.Interventions()[random.IntN(2)])})
				s = Progress(s, told[len(told)-1].event, offset)
			}
		default:
			if i := indexOf(s, order); i >= 0 { // nothing is told of an order, or a version, that is not there yet
				version := 1 + int32(random.IntN(int(s.Orders[i].Version)))
				told = append(told, positioned{offset, progress(order, version, states[random.IntN(len(states))], int(offset))})
				s = Progress(s, told[len(told)-1].event, offset)
			}
		}
		facts = append(facts, made...)
	}
	return s, facts, told
}

func TestEveryWayOfTheTableIsTaken(t *testing.T) {
	for _, way := range Transitions() {
		before := schemas.ClientState{Client: "c1", Version: 1}
		if way.From != none {
			before.Orders = []schemas.OrderState{{OrderID: "o1", Version: 2, Status: way.From}}
		}
		var fact schemas.Event
		switch way.On {
		case CueAccepted:
			fact = &schemas.OrderAccepted{Client: "c1", OrderID: "o1", Version: 2}
		case CueChanged:
			fact = &schemas.OrderChanged{Client: "c1", OrderID: "o1", Version: 3}
		case CueCancelled:
			fact = &schemas.OrderCancelled{Client: "c1", OrderID: "o1", Version: 3}
		case CueRetried:
			fact = intervene("o1", schemas.InterventionRetry)
		default:
			fact = progress("o1", 2, schemas.ProvisioningState(way.On), 60)
		}
		if got := Apply(before, fact).Orders[0].Status; got != way.To {
			t.Errorf("from %q on %q: got %q, want %q", way.From, way.On, got, way.To)
		}
	}
	to := map[schemas.OrderStatus]bool{}
	for _, way := range Transitions() {
		to[way.To] = true
	}
	for _, status := range schemas.OrderStatuses() {
		if !to[status] {
			t.Errorf("no way leads to %q", status)
		}
	}
}

func TestEveryReasonIsGiven(t *testing.T) {
	var base schemas.ClientState
	for i, in := range []schemas.Event{place("p1", "o1", "n1"), place("p2", "o2", "n2"), cancel("k2", "o2", 1)} {
		base, _, _ = Input(base, in, int64(i), products)
	}
	full := schemas.ClientState{Client: "c1", Version: 1}
	for i := range MaxLive {
		full, _, _ = Input(full, place(fmt.Sprint("p", i), fmt.Sprint("o", i), fmt.Sprint("n", i)), int64(i), products)
	}
	given := map[schemas.RejectionReason]bool{}
	f := func(s schemas.ClientState, in schemas.Event, want schemas.RejectionReason, detail string) {
		t.Helper()
		facts, err := Decide(s, in, 999, products)
		if err != nil || len(facts) != 1 {
			t.Fatalf("got %v, %v", facts, err)
		}
		got, rejected := facts[0].(*schemas.OrderRejected)
		if !rejected || got.Reason != want || !strings.Contains(got.Detail, detail) {
			t.Errorf("got %+v, want %q with %q", facts[0], want, detail)
		}
		given[want] = true
	}
	edited := func(edit func(*schemas.OrderPlaced)) *schemas.OrderPlaced {
		in := place("p9", "o9", "n9")
		edit(in)
		return in
	}
	f(base, place("p9", "o9", "No Label"), schemas.RejectedInvalid, "namespace")
	f(base, place("p9", "o9/..", "n9"), schemas.RejectedInvalid, "order_id")
	f(base, place("p9", ".", "n9"), schemas.RejectedInvalid, "order_id")
	f(base, place("p9", "..", "n9"), schemas.RejectedInvalid, "order_id")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Client = "Größe" }), schemas.RejectedInvalid, "client")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Environment = "moon" }), schemas.RejectedInvalid, "environment")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Archtype = "" }), schemas.RejectedInvalid, "archtype")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Hardware = "abacus" }), schemas.RejectedInvalid, "hardware")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Parameters = make([]schemas.Label, 17) }), schemas.RejectedInvalid, "parameters")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Parameters = []schemas.Label{{Name: "a"}, {Name: "a"}} }), schemas.RejectedInvalid, "twice")
	for _, p := range []schemas.Label{{Name: "a=b"}, {Name: " a"}, {Name: "a\tb"}, {Name: "a", Value: "b\nc=d"}, {Name: "a", Value: "b\r"}, {Name: "a", Value: "b "}, {Name: "a", Value: "\u00a0b"}} {
		f(base, edited(func(o *schemas.OrderPlaced) { o.Parameters = []schemas.Label{p} }), schemas.RejectedInvalid, "parameters")
	}
	f(base, edited(func(o *schemas.OrderPlaced) { o.Product = "Product-X" }), schemas.RejectedUnknownProduct, "Product-X")
	f(base, edited(func(o *schemas.OrderPlaced) { o.Product = "Product-B" }), schemas.RejectedHardware, "Dedicated")
	f(base, place("p9", "o1", "n9"), schemas.RejectedDuplicate, "o1")
	f(base, place("p9", "o9", "n1"), schemas.RejectedNamespace, "o1")
	f(base, place("p9", "o9", "n2"), schemas.RejectedNamespace, "o2") // cancelled, but not removed yet
	f(full, place("p999", "o999", "n999"), schemas.RejectedTooMany, fmt.Sprint(MaxLive))
	f(base, change("c9", "o9", "n9", -1), schemas.RejectedUnknownOrder, "o9")
	f(base, change("c9", "o1", "n1", 0), schemas.RejectedStale, "version 1, not 0")
	f(base, change("c9", "o1", "n9", 1), schemas.RejectedInvalid, "stays")
	f(base, cancel("k9", "o2", 1), schemas.RejectedCancelled, "version 2")
	for _, reason := range schemas.RejectionReasons() {
		if !given[reason] {
			t.Errorf("nothing is rejected as %q", reason)
		}
	}
}

func TestWhatCannotBeAnsweredIsNoFact(t *testing.T) {
	f := func(in schemas.Event) {
		t.Helper()
		if facts, err := Decide(schemas.ClientState{}, in, 0, products); facts != nil || !errors.Is(err, ErrUnanswerable) {
			t.Errorf("got %v, %v", facts, err)
		}
	}
	f(place("", "o1", "n1"))
	f(place(strings.Repeat("e", 129), "o1", "n1"))
	f(place("e", "", "n1"))
	f(cancel("e", strings.Repeat("o", 129), 0))
	f(&schemas.OrderCancelRequested{Envelope: head("e", 1), OrderID: "o1"})
	f(&schemas.DeadLetter{})
}

// TestAStateFitsInARecord fills a state to all its bounds.
func TestAStateFitsInARecord(t *testing.T) {
	long := strings.Repeat("x", 2000)
	var s schemas.ClientState
	offset := int64(0)
	put := func(in schemas.Event) {
		if p, is := in.(*schemas.ProvisioningProgressed); is {
			p.Reason, p.Detail, p.StepName, p.Backend = long, long, long, long
			s = Progress(s, p, offset)
		} else {
			s, _, _ = Input(s, in, offset, products)
		}
		offset++
	}
	label := func(i int) string { return fmt.Sprintf("%063d", i) }
	for i := range MaxClosed + MaxLive + 20 {
		in := place(fmt.Sprintf("%0128d", i), fmt.Sprintf("%064d", i), label(i))
		in.TraceID, in.RequestedBy = long, long
		for k := range maxParameters {
			in.Parameters = append(in.Parameters, schemas.Label{Name: label(k), Value: strings.Repeat("v", maxParameter)})
		}
		put(in)
		put(progress(in.OrderID, 1, schemas.ProvisioningFailed, i))
		if i < MaxClosed+20 {
			put(cancel(fmt.Sprintf("%0127d", i), in.OrderID, 1))
			put(progress(in.OrderID, 2, schemas.ProvisioningDeprovisioned, i))
		}
	}
	closed := slices.IndexFunc(s.Orders, func(o schemas.OrderState) bool { return Live(o.Status) })
	if closed != MaxClosed || len(s.Orders) != MaxClosed+MaxLive || len(s.Handled) != MaxHandled {
		t.Errorf("%d closed of %d orders, %d inputs", closed, len(s.Orders), len(s.Handled))
	}
	schema, err := avro.Parse(mustText(t))
	if err != nil {
		t.Fatal(err)
	}
	encoder, err := avro.NewEncoder[schemas.ClientState](schema)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(encoder.Append(nil, &s)); size > 950_000 {
		t.Errorf("the largest state has %d bytes", size)
	} else {
		t.Logf("the largest state has %d bytes", size)
	}
}

func mustText(t *testing.T) string {
	t.Helper()
	versions, err := schemas.KindClientState.Versions()
	if err != nil {
		t.Fatal(err)
	}
	return versions[len(versions)-1].Text
}

func TestTheLifecycleIsDrawn(t *testing.T) {
	var text bytes.Buffer
	if err := WriteLifecycle(&text); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../docs/order-lifecycle.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text.Bytes(), want) {
		t.Errorf("docs/order-lifecycle.md is not up to date; write it with: go run ./cmd/fieldlog schemas lifecycle > docs/order-lifecycle.md")
	}
}
