package directory

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

// world is a log with a directory that follows it, and stands for the registrar.
type world struct {
	*testing.T
	log     *eventlog.Log
	brokers *eventlogtest.Cluster
	dir     *Directory
	url     string
	states  map[string]schemas.ClientState
}

func start(t *testing.T) *world {
	cluster := eventlogtest.Start(t)
	w := &world{T: t, log: cluster.Open(t, cluster.Config()), brokers: cluster, states: map[string]schemas.ClientState{}}
	w.place("c1", "before", "n0") // there when the directory starts
	w.dir = New(Config{Watchers: 2}, w.log, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.dir.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	mux := http.NewServeMux()
	for _, route := range w.dir.Routes() {
		mux.HandleFunc(route.Method+" "+route.Path, route.Serve)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.until(func() bool { return w.dir.Ready(ctx) == nil })
	return w
}

func (w *world) until(true func() bool) {
	w.Helper()
	for deadline := time.Now().Add(30 * time.Second); !true(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatal("it did not happen in time")
		}
	}
}

// decide does what the registrar does, one event after the other. It returns the positions of the facts.
func (w *world) decide(client string, input schemas.Event) (facts []eventlog.Position) {
	w.Helper()
	at, err := w.log.Append(w.Context(), input)
	if err != nil {
		w.Fatal(err)
	}
	state := w.states[client]
	var made []schemas.Event
	if input.Kind().Topic == schemas.KindProvisioningProgressed.Topic {
		state = clients.Progress(state, input, int64(at.Offset))
	} else if state, made, err = clients.Input(state, input, int64(at.Offset), sold); err != nil {
		w.Fatal(err)
	}
	w.states[client] = state
	published := clients.Published(state)
	for _, event := range append(made, &published) {
		at, err := w.log.Append(w.Context(), event)
		if err != nil {
			w.Fatal(err)
		}
		facts = append(facts, at)
	}
	return facts[:len(made)]
}

func sold(name string) ([]string, string, bool) {
	return schemas.HardwareClasses(), "", name == "Product-A"
}

func head(id string) schemas.Envelope {
	return schemas.Envelope{EventID: id, ReceivedTime: schemas.TimeOf(time.Now()), TraceID: "trace-" + id}
}

func (w *world) place(client, order, namespace string) []eventlog.Position {
	w.Helper()
	return w.decide(client, &schemas.OrderPlaced{Envelope: head(client + order), OrderID: order, Client: client, ExpectedVersion: -1, Terms: schemas.Terms{
		Namespace: namespace, Environment: "Stage", Archtype: "Edge", Hardware: "Shared", Product: "Product-A", Parameters: []schemas.Label{{Name: "size", Value: "s"}}}})
}

func (w *world) cancel(id, client, order string) []eventlog.Position {
	w.Helper()
	return w.decide(client, &schemas.OrderCancelRequested{Envelope: head(id), OrderID: order, Client: client, ExpectedVersion: -1})
}

func (w *world) progress(client, order string, state schemas.ProvisioningState) {
	w.Helper()
	w.decide(client, &schemas.ProvisioningProgressed{Envelope: head("p"), OrderID: order, Client: client, Version: 1, State: state, Step: 1, Steps: 2, Backend: "simulated"})
}

// get asks and decodes the answer; it returns the status and the ETag.
func (w *world) get(path string, into any, headers ...string) (int, string) {
	w.Helper()
	req, err := http.NewRequest(http.MethodGet, w.url+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNotModified {
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			w.Fatalf("%s: %v", path, err)
		}
	}
	return resp.StatusCode, resp.Header.Get("ETag")
}

// shows waits until the directory has a client's newest state.
func (w *world) shows(client string) {
	w.Helper()
	w.until(func() bool {
		e, known := w.dir.book.client(client)
		return known && e.state.Version == w.states[client].Version
	})
}

func TestWhatWasCommittedIsShown(t *testing.T) {
	w := start(t)
	w.place("c1", "o1", "n1")
	w.place("c2", "o1", "n1")
	w.place("c3", "o3", "n3")
	w.progress("c3", "o3", schemas.ProvisioningSucceeded)
	for _, name := range []string{"c1", "c2", "c3"} {
		w.shows(name)
	}
	var page clientsPage
	f := func(path string, want ...string) {
		t.Helper()
		page = clientsPage{}
		w.get(path, &page)
		var got []string
		for _, c := range page.Clients {
			got = append(got, fmt.Sprint(c.Client, len(c.Orders)))
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	f("/v1/clients", "c12", "c21", "c31")
	f("/v1/clients?status=ready", "c31")
	f("/v1/clients?namespace=n1", "c11", "c21")
	f("/v1/clients?client=c2", "c21")
	f("/v1/clients?product=Product-Z")
	f("/v1/clients?limit=2", "c12", "c21")
	f("/v1/clients?limit=2&after="+page.Next, "c31")
	if page.Next != "" {
		t.Errorf("the last page goes on at %q", page.Next)
	}
	var orders ordersPage
	if w.get("/v1/orders?limit=1", &orders); len(orders.Orders) != 2 || orders.Next != "c1" {
		t.Errorf("got %+v, want a page that ends between clients", orders)
	}
	var order Order
	if code, tag := w.get("/v1/orders/o3", &order); code != 200 || tag != `"1"` || order.Status != schemas.OrderStatusReady || order.Steps != 2 || order.Parameters["size"] != "s" || order.TraceID != "trace-c3o3" {
		t.Errorf("got %d %s %+v", code, tag, order)
	}
	g := func(path string, want int, detail string) {
		t.Helper()
		var p problem
		if code, _ := w.get(path, &p); code != want || !strings.Contains(p.Detail, detail) {
			t.Errorf("%s: got %d %+v, want %d", path, code, p, want)
		}
	}
	g("/v1/orders/o1", 409, "client")
	g("/v1/orders/o9", 404, "o9")
	g("/v1/clients/c9", 404, "c9")
	g("/v1/clients?limit=x", 400, "limit")
	g("/v1/clients/c1?as_of=yesterday", 400, "as_of")
	g("/v1/clients/c1?history=-1", 400, "history")
	if code, _ := w.get("/v1/orders/o1?client=c2", &order); code != 200 || order.Client != "c2" {
		t.Errorf("got %d %+v", code, order)
	}
	var client Client
	_, tag := w.get("/v1/clients/c3", &client)
	if code, _ := w.get("/v1/clients/c3?history=0", nil, "If-None-Match", tag); code != 304 {
		t.Errorf("got %d for a client that did not change", code)
	}
	if code, _ := w.get("/v1/clients/c3", &client, "If-None-Match", tag); code != 200 {
		t.Errorf("got %d for a client whose history may have changed", code)
	}
	_, tag = w.get("/v1/orders/o1?client=c2", &order)
	if code, _ := w.get("/v1/orders/o1?client=c2", &order, "If-None-Match", tag); code != 200 {
		t.Errorf("got %d for an order whose provisioning may have gone on", code)
	}
}

// TestNewestFirst walks pages of every size through the orders of many clients, some of which changed after they were placed.
func TestNewestFirst(t *testing.T) {
	w := start(t)
	for i := range 9 {
		client := fmt.Sprint("c", 9-i)
		w.place(client, "o", "n1")
		w.place(client, "p", "n2")
	}
	for i := range 9 {
		told := head("told")
		told.EventTime = told.ReceivedTime
		w.decide(fmt.Sprint("c", 1+(i*4)%9), &schemas.ProvisioningProgressed{Envelope: told, OrderID: "o", Client: fmt.Sprint("c", 1+(i*4)%9), Version: 1, State: schemas.ProvisioningSucceeded, Step: 1, Steps: 1})
	}
	for client := range w.states {
		w.shows(client)
	}
	last := func(o Order) time.Time {
		if o.Told.After(o.Updated) {
			return o.Told
		}
		return o.Updated
	}
	walk := func(query string) (names []string) {
		t.Helper()
		var before time.Time
		for after := ""; ; {
			var page ordersPage
			if code, _ := w.get("/v1/orders?sort=newest&"+query+"&after="+after, &page); code != http.StatusOK {
				t.Fatalf("%s after %q: got %d", query, after, code)
			}
			for _, o := range page.Orders {
				if len(names) > 0 && last(o).After(before) {
					t.Errorf("%s: %s/%s changed after the one before it in the list", query, o.Client, o.OrderID)
				}
				before = last(o)
				names = append(names, o.Client+"/"+o.OrderID)
			}
			if after = page.Next; after == "" {
				return names
			}
		}
	}
	all := walk("")
	if want := "[c6/o c2/o c7/o c3/o c8/o c4/o c9/o c5/o c1/o c1/p"; len(all) != 19 || !strings.HasPrefix(fmt.Sprint(all), want) {
		t.Errorf("got %v, want 19 orders: %s", all, want)
	}
	for limit := 1; limit <= 20; limit++ {
		if got := walk(fmt.Sprint("limit=", limit)); !slices.Equal(got, all) {
			t.Errorf("in pages of %d: got %v, want %v", limit, got, all)
		}
	}
	if got := walk("limit=2&status=ready"); len(got) != 9 {
		t.Errorf("got %v, want the 9 that are ready", got)
	}
	for _, query := range []string{"sort=oldest", "sort=newest&after=x", "sort=newest&after=1/x/c/o"} {
		var p problem
		if code, _ := w.get("/v1/orders?"+query, &p); code != http.StatusBadRequest {
			t.Errorf("%s: got %d %+v, want 400", query, code, p)
		}
	}
}

// strange appends what is no event of ours to every topic that tells of a client.
func (w *world) strange(client string) {
	w.Helper()
	producer, err := kgo.NewClient(kgo.SeedBrokers(w.brokers.Config().Brokers...))
	if err != nil {
		w.Fatal(err)
	}
	defer producer.Close()
	for _, topic := range []eventlog.Topic{eventlog.TopicOrders, eventlog.TopicClients, eventlog.TopicProvisioning} {
		record := &kgo.Record{Topic: w.brokers.Name(string(topic)), Key: []byte(client), Value: []byte("not ours")}
		if err := producer.ProduceSync(w.Context(), record).FirstErr(); err != nil {
			w.Fatal(err)
		}
	}
}

func TestThePastIsAFold(t *testing.T) {
	w := start(t)
	placed := w.place("c1", "o1", "n1")
	w.strange("c1")
	between := time.Now().Add(2 * time.Millisecond)
	w.until(func() bool { return time.Now().After(between.Add(2 * time.Millisecond)) })
	w.progress("c1", "o1", schemas.ProvisioningFailed)
	cancelled := w.cancel("k1", "c1", "o1")
	w.shows("c1")
	f := func(query string, version int32, status schemas.OrderStatus, history int) {
		t.Helper()
		var got Client
		code, _ := w.get("/v1/clients/c1?"+query, &got)
		last := ""
		if len(got.Orders) > 0 {
			last = string(got.Orders[len(got.Orders)-1].Status)
		}
		if code != 200 || got.Version != version || last != string(status) || len(got.History) != history {
			t.Errorf("%s: got %d version %d status %s with %d events, want %d %s %d", query, code, got.Version, last, len(got.History), version, status, history)
		}
		for i, told := range got.History {
			if i > 0 && told.Recorded.Before(got.History[i-1].Recorded) || told.Kind == "" || !json.Valid(told.Event) {
				t.Errorf("%s: event %d is %+v", query, i, told)
			}
		}
	}
	f("", 5, schemas.OrderStatusCancelled, 8) // 3 orders, 4 facts, 1 of provisioning
	f("history=2", 5, schemas.OrderStatusCancelled, 2)
	f(fmt.Sprint("as_of=", cancelled[0].Offset), 5, schemas.OrderStatusCancelled, 8)
	f(fmt.Sprint("as_of=", placed[0].Offset, "&history=0"), 3, schemas.OrderStatusAccepted, 0)
	f("as_of="+between.UTC().Format(time.RFC3339Nano), 3, schemas.OrderStatusAccepted, 5)
	var p problem
	for _, before := range []string{"2001-01-01T00:00:00Z", "2001-01-01", "-1h"} {
		if code, _ := w.get("/v1/clients/c1?as_of="+before, &p); code != 404 {
			t.Errorf("%s: got %d before there was anything", before, code)
		}
	}
}

func TestUpdatesAreStreamed(t *testing.T) {
	w := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	open := func(path string) *bufio.Scanner {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "text/event-stream")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("got %s %v", resp.Status, resp.Header)
		}
		return bufio.NewScanner(resp.Body)
	}
	next := func(lines *bufio.Scanner) (c Client) {
		t.Helper()
		for lines.Scan() {
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is {
				if err := json.Unmarshal([]byte(data), &c); err != nil {
					t.Fatal(err)
				}
				return c
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return c
	}
	one, all := open("/v1/clients/c1/events"), open("/v1/clients")
	if c := next(one); c.Client != "c1" || len(c.Orders) != 1 {
		t.Errorf("got %+v, want the client as it is", c)
	}
	var p problem
	if code, _ := w.get("/v1/clients/c1/events", &p); code != 429 {
		t.Errorf("got %d for a stream too many", code)
	}
	w.place("c2", "o1", "n1")
	if c := next(all); c.Client != "c2" || c.Orders[0].OrderID != "o1" {
		t.Errorf("got %+v, want c2", c)
	}
	w.cancel("k1", "c1", "before")
	if c := next(one); c.Client != "c1" || c.Orders[0].Status != schemas.OrderStatusCancelled {
		t.Errorf("got %+v, want c1 and its cancelled order", c)
	}
	cancel()
	w.until(func() bool {
		w.dir.book.mu.RLock()
		defer w.dir.book.mu.RUnlock()
		return len(w.dir.book.watchers) == 0
	})
}

// TestAnAnswerComesWithWhatItTellsOf takes a fact and the states around it in each order in which they may be read.
func TestAnAnswerComesWithWhatItTellsOf(t *testing.T) {
	fact := &schemas.OrderAccepted{Client: "c1", OrderID: "o1"}
	fact.Cause, fact.CauseOffset = "in", 7
	before, after := &schemas.ClientState{Client: "c1", OrdersNext: 7}, &schemas.ClientState{Client: "c1", OrdersNext: 8}
	f := func(events ...schemas.Event) {
		t.Helper()
		b := newBook()
		come, forget := b.expect(input{"c1", "in"})
		defer forget()
		for i, event := range events {
			b.take(&eventlog.Record{}, event)
			if got, want := len(come) > 0, i == len(events)-1; got != want {
				t.Errorf("after %d of %d records it was answered: %v, want %v", i+1, len(events), got, want)
			}
		}
		if len(b.waiting)+len(b.early) > 0 {
			t.Errorf("the book keeps %v and %v", b.waiting, b.early)
		}
	}
	f(fact, after)
	f(after, fact)
	f(before, fact, after)
	f(fact, before, after)
}

func TestAnAnswerIsWaitedForOrLookedUp(t *testing.T) {
	w := start(t)
	w.strange("c1")
	f := func(event string, want string) {
		t.Helper()
		answer, cancel := w.dir.Expect(t.Context(), "c1", event)
		defer cancel()
		select {
		case fact := <-answer:
			if fact.Kind().Fact != want {
				t.Errorf("%s: got %s, want %s", event, fact.Kind().Fact, want)
			}
		case <-time.After(30 * time.Second):
			t.Errorf("%s: there was no answer", event)
		}
	}
	answer, cancel := w.dir.Expect(t.Context(), "c1", "c1o1")
	w.place("c1", "o1", "n1")
	if fact := <-answer; fact.Kind() != schemas.KindOrderAccepted {
		t.Errorf("got %s", fact.Kind().Fact)
	}
	cancel()
	w.cancel("k1", "c1", "o1")
	w.shows("c1")
	f("c1o1", "order.accepted")
	f("k1", "order.cancelled")
	f("c1before", "order.accepted")
	_, cancel = w.dir.Expect(t.Context(), "c1", "never")
	cancel()
	w.until(func() bool { w.dir.book.mu.RLock(); defer w.dir.book.mu.RUnlock(); return len(w.dir.book.waiting) == 0 })
}
