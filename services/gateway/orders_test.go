package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway"
)

func products(name string) ([]string, string, bool) {
	return schemas.HardwareClasses(), "", name == "Product-A"
}

var selling = gateway.Config{Products: products, Host: "door-1"}

// inputs returns what is on the topic of orders.
func (f *fixture) inputs(t testing.TB) (all []schemas.Event, records []*eventlog.Record) {
	t.Helper()
	events := f.log.NewEvents()
	for r, err := range f.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicOrders}) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := events.Decode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		all, records = append(all, event), append(records, r)
	}
	return all, records
}

const original = `{
  "client": "cliente02", "namespace": "plant-7", "environment": "prod", "archtype": "On-Prem", "hardware": "Dedicated", "product": "Product-A",
  "MessageAttributes": {
    "event_type": {"Type": "String", "Value": "company.app.event.cliente02.buy"},
    "published_on": "2023.01.2.23.02.642883101",
    "trace_id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736",
    "retrace_intent": 2
  },
  "Metadata": {"host": "web-1", "origing": "portal", "publisher": "form"}
}`

func TestTheOriginalModelIsTaken(t *testing.T) {
	f := start(t, selling)
	code, body, header := f.do(t, "POST", "/v1/orders", original)
	var answer struct {
		OrderID, EventID, TraceID, Decision string
		Position                            struct{ Topic string }
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(body, "_id", "id")), &answer); err != nil {
		t.Fatal(err)
	}
	all, records := f.inputs(t)
	if code != http.StatusAccepted || len(all) != 1 || answer.Decision != "pending" || answer.Position.Topic != "orders" || header.Get("Location") != "/v1/orders/"+answer.OrderID {
		t.Fatalf("got %d %s %v, %d inputs", code, body, header, len(all))
	}
	got := all[0].(*schemas.OrderPlaced)
	now := got.ReceivedTime
	want := schemas.OrderPlaced{
		Envelope: schemas.Envelope{
			EventID: answer.EventID, EventType: "company.app.event.cliente02.buy", EventTime: schemas.TimeOf(time.Date(2023, 1, 2, 23, 2, 0, 642883101, time.UTC)),
			ReceivedTime: now, TraceID: "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", Attempt: 2, Origin: "portal", Host: "web-1", Publisher: "form",
		},
		OrderID: answer.OrderID, Client: "cliente02", ExpectedVersion: -1,
		Terms: schemas.Terms{Namespace: "plant-7", Environment: "Production", Archtype: "On-Prem", Hardware: "Dedicated", Product: "Product-A"},
	}
	if text(*got) != text(want) || answer.OrderID != answer.EventID || time.Since(now.Time()) > time.Minute {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if parent := records[0].Header("traceparent"); !strings.HasPrefix(parent, "00-4bf92f3577b34da6a3ce929d0e0e4736-") || header.Get("traceparent") != parent {
		t.Errorf("the trace is %q in the log, %q in the answer", parent, header.Get("traceparent"))
	}
	if string(records[0].Key) != "cliente02" {
		t.Errorf("the key is %q", records[0].Key)
	}
}

func text(v any) string {
	out, _ := json.Marshal(v)
	return string(out)
}

func TestWhatAnOrderDoesNotTellIsFilledIn(t *testing.T) {
	f := start(t, selling)
	body := `{"client":"c1","namespace":"n1","environment":"dev","archtype":"SaaS","hardware":"Shared","product":"Product-A","parameters":{"b":"2","a":"1"},"colour":"red"}`
	code, answer, _ := f.do(t, "POST", "/v1/orders", body, "traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	all, _ := f.inputs(t)
	if code != http.StatusAccepted || len(all) != 1 {
		t.Fatalf("got %d %s", code, answer)
	}
	got := all[0].(*schemas.OrderPlaced)
	if got.EventType != "company.app.event.client.action" || got.TraceID != "0af7651916cd43dd8448eb211c80319c" || got.EventTime != got.ReceivedTime ||
		got.Origin != "http" || got.Host != "door-1" || len(got.EventID) != 36 || got.Environment != "Development" || text(got.Parameters) != `[{"Name":"b","Value":"2"},{"Name":"a","Value":"1"}]` {
		t.Errorf("got %+v", got)
	}
	if f.value(t, "fieldlog_gateway_unknown_fields_total") != 1 || f.value(t, "fieldlog_gateway_reports_accepted_total") != 1 {
		t.Error("it is not counted")
	}
}

func TestOrdersAreRefusedAtTheDoor(t *testing.T) {
	f := start(t, selling)
	const good = `{"client":"c1","namespace":"n1","environment":"dev","archtype":"SaaS","hardware":"Shared","product":"Product-A"`
	refuse := func(body, field, reason string) {
		t.Helper()
		code, answer, header := f.do(t, "POST", "/v1/orders", body)
		var p struct {
			Detail string
			Errors []struct{ Field, Reason string }
		}
		if err := json.Unmarshal([]byte(answer), &p); err != nil {
			t.Fatal(err)
		}
		if code != 400 || len(p.Errors) != 1 || p.Errors[0].Field != field || !strings.Contains(p.Errors[0].Reason, reason) || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %d %s, want field %q and reason %q", body, code, answer, field, reason)
		}
	}
	refuse(``, "client", "DNS label")
	refuse(`{`, "", "JSON")
	refuse(`[]`, "", "JSON")
	refuse(good+`}{}`, "", "JSON")
	refuse(good+`,"client":"c2"}`, "", "duplicate")
	refuse(good+",\"order_id\":\"\xff\"}", "", "UTF-8")
	refuse(good+`,"order_id":7}`, "order_id", "text")
	refuse(good+`,"order_id":"a/b"}`, "order_id", "letters")
	refuse(good+`,"expected_version":"x"}`, "expected_version", "int32")
	refuse(good+`,"parameters":[]}`, "parameters", "object")
	refuse(good+`,"parameters":{"a":1}}`, "parameters.a", "text")
	refuse(good+`,"requested_by":"`+strings.Repeat("x", 129)+`"}`, "requested_by", "128")
	refuse(good+`,"event_id":"`+strings.Repeat("x", 129)+`"}`, "event_id", "128")
	refuse(good+`,"MessageAttributes":{"published_on":"2023.02.31.0.0.0"}}`, "MessageAttributes.published_on", "2023.01.2")
	refuse(good+`,"MessageAttributes":{"published_on":"yesterday"}}`, "MessageAttributes.published_on", "RFC 3339")
	refuse(good+`,"MessageAttributes":{"retrace_intent":"often"}}`, "MessageAttributes.retrace_intent", "number")
	refuse(good+`,"MessageAttributes":{"trace_id":true}}`, "MessageAttributes.trace_id", "text or a number")
	replace := func(old, new string) string { return strings.Replace(good, old, new, 1) + "}" }
	refuse(replace(`"c1"`, `"C1"`), "client", "DNS label")
	refuse(replace(`"n1"`, `"n 1"`), "namespace", "DNS label")
	refuse(replace(`"dev"`, `"moon"`), "environment", "dev")
	refuse(replace(`"SaaS"`, `"PaaS"`), "archtype", "Edge")
	refuse(replace(`"Shared"`, `"Owned"`), "hardware", "Classic")
	refuse(replace(`"Product-A"`, `"Product-Z"`), "product", "Product-Z")
	if code, _, _ := f.do(t, "POST", "/v1/orders", good+`,"reason":"`+strings.Repeat("x", 64<<10)+`"}`); code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d for a large body", code)
	}
	if code, _, _ := f.do(t, "POST", "/v1/orders?wait=1h", good+`}`); code != 400 {
		t.Errorf("got %d for a long wait", code)
	}
	if all, _ := f.inputs(t); len(all) != 0 {
		t.Errorf("%d inputs are in the log", len(all))
	}
	strict := selling
	strict.Strict = true
	f = start(t, strict)
	refuse(good+`,"Metadata":{"colour":"red"}}`, "Metadata.colour", "nobody knows")
}

func TestARetriedOrderIsOneInput(t *testing.T) {
	f := start(t, selling)
	const good = `{"client":"c1","namespace":"n1","environment":"dev","archtype":"SaaS","hardware":"Shared","product":"Product-A"`
	for range 2 {
		f.do(t, "POST", "/v1/orders", good+`}`, "Idempotency-Key", "my key/1")
		f.do(t, "POST", "/v1/orders", good+`,"order_id":"o1"}`)
		f.do(t, "POST", "/v1/orders", good+`,"order_id":"o2","event_id":"e2"}`)
	}
	all, _ := f.inputs(t)
	if len(all) != 6 {
		t.Fatalf("%d inputs", len(all))
	}
	for i := range 3 {
		first, again := all[i].(*schemas.OrderPlaced), all[i+3].(*schemas.OrderPlaced)
		if first.EventID != again.EventID || first.OrderID != again.OrderID || first.OrderID == "" {
			t.Errorf("got %s %s, then %s %s", first.EventID, first.OrderID, again.EventID, again.OrderID)
		}
	}
	if all[0].Head().EventID != "my key/1" || all[1].Head().EventID != "o1" || all[2].Head().EventID != "e2" {
		t.Error("the sender's ids are not kept")
	}
}

// shelf is a Book with one order, that answers as it is told.
type shelf struct {
	fact     schemas.Event
	expected string
}

func (s *shelf) Order(client, id string) (string, *schemas.OrderState, error) {
	if id == "shared" {
		return "", nil, errors.New("several clients have it")
	}
	if id != "o1" {
		return client, nil, nil
	}
	return "c1", &schemas.OrderState{OrderID: "o1", Version: 3}, nil
}

func (s *shelf) Expect(_ context.Context, _, event string) (<-chan schemas.Event, func()) {
	s.expected = event
	answer := make(chan schemas.Event, 1)
	if s.fact != nil {
		answer <- s.fact
	}
	return answer, func() {}
}

func TestOrdersAreChangedAndCancelledAtAVersion(t *testing.T) {
	cfg := selling
	cfg.Book = &shelf{}
	f := start(t, cfg)
	const terms = `{"namespace":"n1","environment":"dev","archtype":"SaaS","hardware":"Shared","product":"Product-A"}`
	do := func(method, path, body, match string, want int, detail string) {
		t.Helper()
		code, answer, _ := f.do(t, method, path, body, "If-Match", match)
		if code != want || !strings.Contains(answer, detail) {
			t.Errorf("%s %s: got %d %s, want %d with %q", method, path, code, answer, want, detail)
		}
	}
	do("PUT", "/v1/orders/o1", terms, `"2"`, 409, `"version":3`)
	do("DELETE", "/v1/orders/o1", "", `"2"`, 409, `"reason":"stale_version"`)
	do("DELETE", "/v1/orders/o1", "", `soon`, 400, "If-Match")
	do("PUT", "/v1/orders/shared", terms, "", 409, "several")
	do("DELETE", "/v1/orders/o9", "", "", 404, "?client=")
	do("PUT", "/v1/orders/o1", `{}`, "", 400, "namespace")
	do("PATCH", "/v1/orders/o1", `{}`, "", 405, "PUT or DELETE")
	do("PUT", "/v1/orders/o1", terms, `"3"`, 202, `"client":"c1"`)
	do("DELETE", "/v1/orders/o1?reason=moved", "", "", 202, "pending")
	do("DELETE", "/v1/orders/o9?client=c9", "", "*", 202, "pending")
	all, _ := f.inputs(t)
	do("PUT", "/v1/orders/o1", terms, `"4"`, 202, "pending") // the registrar may know it
	if len(all) != 3 {
		t.Fatalf("got %d inputs", len(all))
	}
	for _, event := range all {
		switch in := event.(type) {
		case *schemas.OrderChangeRequested:
			if in.ExpectedVersion != 3 || in.Client != "c1" || in.Namespace != "n1" || in.Environment != "Development" {
				t.Errorf("got %+v", in)
			}
		case *schemas.OrderCancelRequested:
			if in.ExpectedVersion != -1 || in.Client == "c1" && in.Reason != "moved" {
				t.Errorf("got %+v", in)
			}
		}
	}
}

// TestAStaleChangeWithAnIDIsTheRegistrars: it may be one that was taken before, when its version was the order's.
func TestAStaleChangeWithAnIDIsTheRegistrars(t *testing.T) {
	book := &shelf{fact: &schemas.OrderRejected{Reason: schemas.RejectedStale, Detail: "at version 3", Version: 3}}
	cfg := selling
	cfg.Book = book
	f := start(t, cfg)
	do := func(query string, want int, detail string) {
		t.Helper()
		code, answer, _ := f.do(t, "DELETE", "/v1/orders/o1"+query, "", "If-Match", `"2"`, "Idempotency-Key", "again")
		if code != want || !strings.Contains(answer, detail) {
			t.Errorf("%q: got %d %s, want %d with %q", query, code, answer, want, detail)
		}
	}
	do("", 202, `"decision":"pending"`)
	do("?wait=1ns", 409, `"reason":"stale_version","version":3`)
	book.fact = &schemas.OrderCancelled{Version: 3}
	do("?wait=1ns", 200, `"decision":"cancelled","version":3`)
}

func TestTheDecisionIsAnswered(t *testing.T) {
	book := &shelf{}
	cfg := selling
	cfg.Book = book
	f := start(t, cfg)
	answer := func(fact schemas.Event, want int, part, tag string) {
		t.Helper()
		book.fact = fact
		code, body, header := f.do(t, "POST", "/v1/orders?wait=1ns", `{"client":"c1","namespace":"n1","environment":"dev","archtype":"SaaS","hardware":"Shared","product":"Product-A","event_id":"e1"}`)
		if code != want || !strings.Contains(body, part) || header.Get("ETag") != tag || book.expected != "e1" {
			t.Errorf("got %d %s %v, want %d with %s", code, body, header, want, part)
		}
	}
	answer(&schemas.OrderAccepted{Version: 1}, 201, `"decision":"accepted","version":1`, `"1"`)
	answer(&schemas.OrderChanged{Version: 2}, 200, `"decision":"changed","version":2`, `"2"`)
	answer(&schemas.OrderCancelled{Version: 3}, 200, `"decision":"cancelled","version":3`, `"3"`)
	answer(nil, 202, `"decision":"pending"`, "")
	answer(&schemas.OrderRejected{Reason: schemas.RejectedStale, Detail: "at version 3", Version: 3}, 409, `"reason":"stale_version","version":3`, "")
	answer(&schemas.OrderRejected{Reason: schemas.RejectedUnknownOrder, Detail: "none"}, 404, "none", "")
	answer(&schemas.OrderRejected{Reason: schemas.RejectedUnknownProduct, Detail: "gone"}, 400, "gone", "")
}

func TestAMountedWayInIsGuardedAndCounted(t *testing.T) {
	f := start(t, gateway.Config{Tokens: []string{"a-token-of-some-length"}})
	f.Mount("GET", "/v1/things/{thing}", "things", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})
	if code, _, _ := f.do(t, "GET", "/v1/things/1", ""); code != 401 {
		t.Errorf("got %d without a token", code)
	}
	if code, _, _ := f.do(t, "GET", "/v1/things/1", "", "Authorization", "Bearer a-token-of-some-length"); code != http.StatusTeapot {
		t.Errorf("got %d with a token", code)
	}
	if code, _, header := f.do(t, "POST", "/v1/things/1", ""); code != 405 || header.Get("Allow") != "GET" {
		t.Errorf("got %d %v for another method", code, header)
	}
	if n := f.value(t, "fieldlog_gateway_requests_total"); n != 2 {
		t.Errorf("%v requests are counted", n)
	}
}
