package test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

// answered is what the gateway tells of an order.
type answered struct {
	OrderID  string `json:"order_id"`
	Client   string
	EventID  string `json:"event_id"`
	TraceID  string `json:"trace_id"`
	Decision string
	Reason   string
	Version  int32
}

// ask makes a request about orders and returns its status and answer.
func ask(client *http.Client, method, url, body string, headers ...string) (int, answered, error) {
	var a answered
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, a, err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, a, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, a, json.NewDecoder(resp.Body).Decode(&a)
}

// decided makes a request and waits for the decision as long as the gateway lets it. It asks again while there is none: a new order's
// id, or the key of a change, makes it the same input.
func decided(method, url, body string, headers ...string) (status int, a answered, err error) {
	for deadline := time.Now().Add(patience); ; {
		status, a, err = ask(http.DefaultClient, method, url+"?wait=30s", body, headers...)
		if status != http.StatusAccepted || time.Now().After(deadline) {
			return status, a, err
		}
	}
}

func orderBody(client, order, namespace, product string) string {
	return fmt.Sprintf(`{"client":%q,"order_id":%q,"namespace":%q,"environment":"prod","archtype":"On-Prem","hardware":"Classic","product":%q,
		"MessageAttributes":{"published_on":"2023.01.2.23.02.642883101","retrace_intent":0},"Metadata":{"host":"web-1","origing":"portal","publisher":"form"}}`, client, order, namespace, product)
}

// TestAnOrderGoesFromTheDoorToTheTables places, changes and cancels orders, as a client and as an operator do.
func TestAnOrderGoesFromTheDoorToTheTables(t *testing.T) {
	s := up(t, t.TempDir())
	f := func(method, path, body, match string, status int, decision string) answered {
		t.Helper()
		headers := []string{"If-Match", match, "Idempotency-Key", rand.Text()}
		if method == "POST" { // it has an id
			headers = nil
		}
		got, a, err := decided(method, s.Gateway+path, body, headers...)
		if err != nil || got != status || a.Decision+a.Reason != decision {
			t.Errorf("%s %s: got %d %+v (%v), want %d %s", method, path, got, a, err, status, decision)
		}
		return a
	}
	order := orderBody("cliente02", "o1", "plant-7", "Product-A")
	first := f("POST", "/v1/orders", order, "", 201, "accepted")
	f("POST", "/v1/orders", order, "", 201, "accepted")
	f("POST", "/v1/orders", strings.Replace(order, `"order_id"`, `"event_id":"other","order_id"`, 1), "", 409, "duplicate_order")
	f("POST", "/v1/orders", orderBody("cliente02", "o2", "plant-7", "Product-A"), "", 409, "namespace_taken")
	f("POST", "/v1/orders", orderBody("cliente02", "o3", "plant-8", "Product-Z"), "", 400, "")
	f("POST", "/v1/orders", orderBody("Not A Label", "o3", "plant-8", "Product-A"), "", 400, "")
	f("PUT", "/v1/orders/o1", orderBody("cliente02", "o1", "plant-7", "Product-B"), `"1"`, 200, "changed")
	f("PUT", "/v1/orders/o1", orderBody("cliente02", "o1", "plant-7", "Product-C"), `"1"`, 409, "stale_version")
	s.eventually(patience, "SELECT product, version, trace_id != '' FROM fieldlog.orders WHERE order_id = 'o1'", "Product-B\t2\t1")

	placed := s.run("", "orders", "place", "--url", s.Gateway, "--client", "cliente03", "--namespace", "n1", "--product", "Product-C", "--order-id", "cli-1", "--decision-wait", "30s")
	if !strings.Contains(placed, `"decision":"accepted"`) {
		t.Errorf("the command printed %s", placed)
	}
	f("DELETE", "/v1/orders/o1", "", `"2"`, 200, "cancelled")
	list := s.run("", "orders", "list", "--url", s.Gateway)
	if !strings.Contains(list, "cli-1") || !strings.Contains(list, "cancelled") {
		t.Errorf("the list is\n%s", list)
	}
	var shown struct {
		Status  schemas.OrderStatus
		TraceID string `json:"trace_id"`
		Events  []struct{ Kind string }
	}
	if err := json.Unmarshal([]byte(s.run("", "orders", "show", "o1", "--url", s.Gateway)), &shown); err != nil {
		t.Fatal(err)
	}
	kinds := fmt.Sprint(shown.Events)
	for _, want := range []string{"order.placed", "order.accepted", "order.rejected", "order.changed", "order.cancelled"} {
		if !strings.Contains(kinds, want) {
			t.Errorf("the history lacks %s: %s", want, kinds)
		}
	}
	if first.TraceID == "" || shown.TraceID == "" {
		t.Errorf("there is no trace: %+v %+v", first, shown)
	}
	s.eventually(patience, "SELECT client, orders, products FROM fieldlog.clients ORDER BY client", "cliente02\t1\t[]\ncliente03\t1\t['Product-C']")
	s.charts("orders", map[string]float64{"Product-B": 1, "Product-C": 1})
	s.stop()
}

// charts expects of a chart in the portal the sum of each of its series.
func (s *system) charts(name string, want map[string]float64) {
	s.t.Helper()
	resp, err := http.Get(s.Portal + "/charts/" + name + ".json")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	var chart struct {
		Series []string
		Data   [][]*float64
	}
	if err := json.NewDecoder(resp.Body).Decode(&chart); err != nil || len(chart.Data) != len(chart.Series)+1 {
		s.t.Fatalf("GET the chart %q: %d, %+v, %v", name, resp.StatusCode, chart, err)
	}
	got := map[string]float64{}
	for i, label := range chart.Series {
		for _, value := range chart.Data[i+1] {
			if value != nil {
				got[label] += *value
			}
		}
	}
	if !maps.Equal(got, want) {
		s.t.Errorf("the chart %q sums up to %v, want %v", name, got, want)
	}
}

// inputs are what the gateway acknowledged.
type inputs struct {
	mu  sync.Mutex
	all map[[2]string]bool // client and event id
}

// count returns how many there are.
func (in *inputs) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.all)
}

// load sends inputs until the gateway is gone: new orders, the same again, changes, cancellations. first is called when the first
// is acknowledged.
func (in *inputs) load(gateway string, senders, round int, first func()) {
	var wg sync.WaitGroup
	var once sync.Once
	before, deadline := in.count(), time.Now().Add(patience)
	for sender := range senders {
		wg.Go(func() {
			client := &http.Client{Timeout: 45 * time.Second}
			for n := 0; in.send(client, gateway, sender, round, n); n++ {
				switch {
				case in.count() > before:
					once.Do(first)
				case time.Now().After(deadline):
					return
				}
			}
		})
	}
	wg.Wait()
}

func (in *inputs) send(client *http.Client, gateway string, sender, round, n int) bool {
	name, id := fmt.Sprint("client-", sender), fmt.Sprintf("o-%d-%d", round, n-n%4)
	order := orderBody(name, id, fmt.Sprintf("n-%d-%d", round, n%120-n%4), "Product-A")
	method, path := "POST", "/v1/orders"
	switch n % 4 {
	case 2:
		method, path = "PUT", "/v1/orders/"+id
	case 3:
		method, path, order = "DELETE", "/v1/orders/"+id+"?client="+name, ""
		if n%8 == 3 {
			method, path = "GET", "/v1/orders/"+id+"?client="+name
		}
	}
	status, a, err := ask(client, method, gateway+path, order)
	if err != nil {
		return false
	}
	if status == http.StatusAccepted {
		in.mu.Lock()
		in.all[[2]string{a.Client, a.EventID}] = true
		in.mu.Unlock()
	}
	return true
}

// check holds the facts against what was acknowledged, and the states against a fold of the whole log.
func (in *inputs) check(t *testing.T, s *system) {
	t.Helper()
	log := s.openLog()
	read := func(topic eventlog.Topic, do func(*eventlog.Record, schemas.Event)) {
		t.Helper()
		events := log.NewEvents()
		for r, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: topic}) {
			if err != nil {
				t.Fatal(err)
			}
			event, err := events.Decode(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			do(r, event)
		}
	}
	different, before := "nothing was read", ""
	for deadline := time.Now().Add(patience); different != "" && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if different != before { // provisioning goes on
			before, deadline = different, time.Now().Add(patience)
		}
		folded, latest, answers := map[string]schemas.ClientState{}, map[string]schemas.ClientState{}, map[[2]string]int{}
		read(eventlog.TopicClientState, func(_ *eventlog.Record, e schemas.Event) {
			latest[e.(*schemas.ClientState).Client] = *e.(*schemas.ClientState)
		})
		read(eventlog.TopicClients, func(r *eventlog.Record, e schemas.Event) {
			client := string(r.Key)
			folded[client] = clients.Apply(folded[client], e)
			if cause := causeOf(e); cause != "" {
				answers[[2]string{client, cause}]++
			}
		})
		read(eventlog.TopicProvisioning, func(r *eventlog.Record, e schemas.Event) {
			client := string(r.Key)
			folded[client] = clients.Progress(folded[client], e, int64(r.Offset))
		})
		different = in.difference(answers) + sameStates(folded, latest)
	}
	if different != "" {
		t.Error(different)
	}
}

// difference says what is wrong with the answers: each acknowledged input has one, and no input has two.
func (in *inputs) difference(answers map[[2]string]int) string {
	var wrong strings.Builder
	for input := range in.all {
		if answers[input] == 0 {
			fmt.Fprintf(&wrong, "%v was acknowledged and is not answered\n", input)
		}
	}
	for input, times := range answers {
		if times > 1 {
			fmt.Fprintf(&wrong, "%v is answered %d times\n", input, times)
		}
	}
	return wrong.String()
}

// sameStates says where the states differ from the fold.
func sameStates(folded, latest map[string]schemas.ClientState) string {
	var wrong strings.Builder
	for client, want := range folded {
		got := latest[client]
		got.Envelope, want.Envelope, got.OrdersNext, want.OrdersNext = schemas.Envelope{}, schemas.Envelope{}, 0, 0
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); g != w {
			fmt.Fprintf(&wrong, "the state of %s is\n%s\nthe facts make\n%s\n", client, g, w)
		}
	}
	if len(folded) != len(latest) {
		fmt.Fprintf(&wrong, "%d states of %d clients\n", len(latest), len(folded))
	}
	return wrong.String()
}

func causeOf(e schemas.Event) string {
	switch f := e.(type) {
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

// TestOrdersSurviveKills kills the whole process tree while orders come in: each acknowledged input is answered once, and the states
// are the fold of the log.
func TestOrdersSurviveKills(t *testing.T) {
	dir := t.TempDir()
	in := &inputs{all: map[[2]string]bool{}}
	for round := range 6 {
		s := up(t, dir)
		before := len(in.all)
		var dead *time.Timer
		in.load(s.Gateway, 5, round, func() {
			dead = time.AfterFunc(time.Duration(150+233*round)*time.Millisecond, s.kill) // a different moment each time
		})
		if dead != nil {
			dead.Stop()
		}
		s.kill()
		t.Logf("round %d: %d inputs acknowledged", round, len(in.all)-before)
		if len(in.all) == before {
			t.Errorf("nothing was acknowledged in round %d:\n%s", round, s.output())
		}
	}
	s := up(t, dir)
	in.check(t, s)
	s.eventually(patience, "SELECT count() = uniqExact(topic, partition, `offset`) FROM fieldlog.order_facts", "1")
	s.stop()
}
