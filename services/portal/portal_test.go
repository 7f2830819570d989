package portal

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/internal/story"
)

// stand is a portal beside a gateway, a log and a desk that are played.
type stand struct {
	t      *testing.T
	portal *Portal
	reg    *prometheus.Registry

	mu      sync.Mutex
	asked   []*http.Request // what the gateway was asked
	bodies  []string
	answers map[string]func(http.ResponseWriter, *http.Request) // by method and path
	letters []Letter
	desk    Outcome
	deskErr error
	chosen  []string
}

const hostile = `<script>alert("x")</script>`

func newStand(t *testing.T, users string) *stand {
	t.Helper()
	s := &stand{t: t, reg: prometheus.NewRegistry(), answers: map[string]func(http.ResponseWriter, *http.Request){}, desk: Outcome{Done: true}}
	gateway := httptest.NewServer(http.HandlerFunc(s.gateway))
	t.Cleanup(gateway.Close)
	catalogue, err := products.Default()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Gateway: gateway.URL, Token: "t0ken", Products: catalogue}
	if users != "" {
		cfg.Users = filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(cfg.Users, []byte(users), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sources := Sources{Log: s, Traces: s, Letters: s, Readers: []Reader{{"registrar", eventlog.TopicOrders}}}
	if s.portal, err = New(cfg, sources, slog.New(slog.DiscardHandler), s.reg); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stand) gateway(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.asked, s.bodies = append(s.asked, r), append(s.bodies, string(body))
	answer := s.answers[r.Method+" "+r.URL.Path]
	s.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"status":404,"detail":"there is nothing"}`)
		return
	}
	answer(w, r)
}

// on makes the gateway answer.
func (s *stand) on(what string, status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[what] = func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func (s *stand) Topics(context.Context) ([]eventlog.TopicStatus, error) {
	var all []eventlog.TopicStatus
	for _, spec := range eventlog.Topics() {
		all = append(all, eventlog.TopicStatus{TopicSpec: spec, Exists: true, ActualPartitions: 1, Ranges: map[eventlog.Partition]eventlog.Range{0: {First: 0, Next: 1234}}})
	}
	return all, nil
}

func (s *stand) Progress(context.Context, eventlog.Group, eventlog.Topic) (map[eventlog.Partition]eventlog.Progress, error) {
	return map[eventlog.Partition]eventlog.Progress{0: {Next: 1200}}, nil
}

func (s *stand) Tell(_ context.Context, trace string, _ time.Time) (*story.Story, error) {
	return &story.Story{Trace: trace, Chapters: []story.Chapter{{Kind: "order.placed", Topic: "orders", Words: story.Words{Title: hostile, Tone: story.Good}, Event: json.RawMessage(`{"a":"` + "<b>" + `"}`)}}}, nil
}

func (s *stand) List(context.Context, string, int) ([]Letter, error) { return s.letters, nil }

func (s *stand) Redrive(_ context.Context, id, by, why string) (Outcome, error) {
	s.chosen = append(s.chosen, "redrive "+id+" "+by+" "+why)
	return s.desk, s.deskErr
}

func (s *stand) Discard(_ context.Context, id, by, why string) (Outcome, error) {
	s.chosen = append(s.chosen, "discard "+id+" "+by+" "+why)
	return s.desk, s.deskErr
}

// send asks the portal as a browser does on its own pages.
func (s *stand) send(method, path string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:8000"+path, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	s.portal.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || !strings.Contains(got, "frame-ancestors 'none'") || strings.Contains(got, "unsafe") {
		s.t.Errorf("%s %s: got policy %q", method, path, got)
	}
	if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		s.t.Errorf("%s %s: got headers %v", method, path, w.Header())
	}
	if body := w.Body.String(); strings.Contains(body, hostile) || strings.Contains(body, "<b>") {
		s.t.Errorf("%s %s: what came from outside is not escaped", method, path)
	}
	return w
}

const oneOrder = `{"order_id":"o1","client":"cliente02","namespace":"plant","environment":"Development","archtype":"SaaS","hardware":"Shared",
	"product":"Product-A","version":3,"status":"failing","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","step":1,"steps":4,"step_name":"workload",
	"reason":"injected","detail":"<script>alert(\"x\")</script>","attempt":2,"updated":"2026-01-31T12:00:00Z","told":"2026-01-31T12:00:05Z"}`

func (s *stand) withOrder() {
	s.on("GET /v1/orders", 200, `{"orders":[`+oneOrder+`],"next":"cliente02"}`)
	s.on("GET /v1/orders/o1", 200, oneOrder)
	s.on("GET /v1/clients/cliente02", 200, `{"client":"cliente02","version":9,"orders":[`+oneOrder+`],"history":[
		{"kind":"order.placed","topic":"orders","recorded":"2026-01-31T12:00:00Z","event":{"order_id":"o1","client":"cliente02","product":"<b>","trace_id":"abc"}},
		{"kind":"provisioning.progressed","topic":"provisioning","recorded":"2026-01-31T12:00:05Z","event":{"order_id":"o1","client":"cliente02","state":"failed","reason":"injected","step_name":"workload","attempt":2}},
		{"kind":"order.placed","topic":"orders","recorded":"2026-01-31T12:00:00Z","event":{"order_id":"another","client":"cliente02","product":"Product-Z"}}]}`)
	s.on("GET /v1/topics/orders/events", 200, `{"topic":"orders","partition":1,"offset":2,"key":"<b>","subject":"dev.fieldlog.OrderPlaced","event":{"client":"<b>"},"headers":{"traceparent":"00-1"}}
{"topic":"orders","partition":1,"offset":3,"key":"k","reason":"not_ours","detail":"<b>","value":"AAEC"}
`)
}

// TestLive holds that a page is told to look again as soon as it is listened for it: what changed after the page was made, and before
// that, comes in no other way.
func TestLive(t *testing.T) {
	s := newStand(t, "")
	s.on("GET /v1/clients/cliente02/events", 200, "event: client\ndata: {\"client\":\"cliente02\"}\n\n")
	s.on("GET /v1/clients", 200, ": open\n\n")
	server := httptest.NewServer(s.portal)
	defer server.Close()
	for _, path := range []string{"/live", "/live?client=cliente02"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(res.Body); ; {
			if !lines.Scan() {
				t.Fatalf("%s: got %d and no change: %v", path, res.StatusCode, lines.Err())
			}
			if lines.Text() == "event: change" {
				break
			}
		}
		res.Body.Close()
	}
}

// TestPages asks for every page, with what is hostile in the data, and holds the parts that a screen reader goes by.
func TestPages(t *testing.T) {
	s := newStand(t, "")
	if name := s.portal.assets.missing(); name != "" {
		t.Fatalf("static/%s is not there: run `make build`", name)
	}
	s.withOrder()
	s.letters = []Letter{{ID: "l1", At: "deadletters/0@1", Reason: "invalid", Detail: hostile, Key: "<b>", Value: []byte(hostile), State: "open", Written: time.Now()}}
	f := func(path string, want ...string) {
		t.Helper()
		w := s.send(http.MethodGet, path, nil)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: got %d %s", path, w.Code, w.Body)
		}
		for _, part := range append(want, `<html lang="en">`, `<main id="main"`, `<nav aria-label="Main">`, `class="skip"`) {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s: got no %q in\n%s", path, part, w.Body)
			}
		}
	}
	f("/orders", "cliente02", `<span class="pill bad">failing</span>`, "1 of 4", "injected", `href="/trace/4bf92f3577b34da6a3ce929d0e0e4736"`, `sse-connect="/live"`, "/orders?after=cliente02")
	f("/orders/new?client=cliente02", `value="cliente02"`, "Product-A", "Product-B", "Product-C", `<label for="namespace">`)
	f("/orders/o1/change?client=cliente02", `name="version" value="3"`, `name="namespace" value="plant" readonly`)
	f("/clients", "Archtype", "Deployed", "o1")
	f("/clients/cliente02", "Failed: workload", `action="/orders/o1/retry"`, `action="/orders/o1/abandon"`, `action="/orders/o1/cancel"`, "Ordered", "Product-Z")
	f("/events", "order.placed", "/events/live?topic=orders", "No event: not_ours", "traceparent", "AAEC")
	f("/letters", "invalid", `action="/letters/redrive"`, `action="/letters/discard"`)
	f("/operations", "registrar", `<td data-label="Records behind" class="number">34</td>`, "Records/s", `action="/orders/o1/retry"`)
	for _, id := range []string{"4bf92f3577b34da6a3ce929d0e0e4736", "4BF92F35-77B3-4DA6-A3CE-929D0E0E4736"} {
		f("/trace/"+id, "kubectl get pods -A -l fieldlog.dev/trace-id=4bf92f3577b34da6a3ce929d0e0e4736<")
	}
	for _, id := range []string{"4bf92f35", "x;%20reboot", "4bf92f3577b34da6a3ce929d0e0e4736$(reboot)"} {
		if got := s.send(http.MethodGet, "/trace/"+id, nil).Body.String(); strings.Contains(got, "kubectl") || !strings.Contains(got, `class="story"`) {
			t.Errorf("trace %s: want no command to paste, got\n%s", id, got)
		}
	}
	if w := s.send(http.MethodGet, "/clients/cliente02?order=o1", nil); strings.Contains(w.Body.String(), "Product-Z") {
		t.Error("the timeline of one order tells of another")
	}
	for _, path := range []string{"/nothing", "/static/../portal.go", "/static/nothing.css"} {
		if w := s.send(http.MethodGet, path, nil); w.Code != http.StatusNotFound && w.Code != http.StatusMovedPermanently && w.Code != http.StatusTemporaryRedirect {
			t.Errorf("%s: got %d, want 404", path, w.Code)
		}
	}
	if got := testutil.ToFloat64(s.portal.metrics.requests.WithLabelValues("orders", "200")); got != 1 {
		t.Errorf("got %v requests of page orders counted, want 1", got)
	}
}

func TestGatewayAway(t *testing.T) {
	s := newStand(t, "")
	s.on("GET /v1/orders", 503, `not json`)
	if w := s.send(http.MethodGet, "/orders", nil); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "503") {
		t.Errorf("got %d %s, want 503 that says so", w.Code, w.Body)
	}
	s.on("GET /v1/orders", 401, `{"status":401,"detail":"an access token is missing"}`)
	if w := s.send(http.MethodGet, "/orders", nil); w.Code != http.StatusBadGateway {
		t.Errorf("got %d, want 502: it is the portal that has no token", w.Code)
	}
}

func orderOf(change func(url.Values)) url.Values {
	form := url.Values{
		"id": {"o-aaaaaaaaaaaaa"}, "client": {"cliente02"}, "namespace": {"plant"}, "environment": {"Development"}, "archtype": {"SaaS"},
		"hardware": {"Shared"}, "product": {"Product-A"}, "parameters": {"a=1\r\nb = 2\r\n"},
	}
	if change != nil {
		change(form)
	}
	return form
}

// TestOrder sends the form as a browser without script does.
func TestOrder(t *testing.T) {
	s := newStand(t, "")
	s.on("POST /v1/orders", 201, `{"order_id":"o-aaaaaaaaaaaaa","client":"cliente02","decision":"accepted","version":1}`)
	w := s.send(http.MethodPost, "/orders", orderOf(nil))
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/clients/cliente02?done=placed&order=o-aaaaaaaaaaaaa" {
		t.Fatalf("got %d to %q: %s", w.Code, got, w.Body)
	}
	var sent wanted
	if err := json.Unmarshal([]byte(s.bodies[0]), &sent); err != nil {
		t.Fatal(err)
	}
	if sent.EventID != "o-aaaaaaaaaaaaa" || sent.RequestedBy != "local" || sent.Parameters["b"] != "2" || sent.Metadata.Origin != "portal" {
		t.Errorf("got %+v sent", sent)
	}
	r := s.asked[0]
	if parent := r.Header.Get("Traceparent"); len(parent) != 55 || !strings.HasPrefix(parent, "00-") {
		t.Errorf("got traceparent %q", parent)
	}
	if r.Header.Get("Authorization") != "Bearer t0ken" || r.URL.Query().Get("wait") != "10s" {
		t.Errorf("got %v %v", r.Header, r.URL)
	}
	s.on("POST /v1/orders", 202, `{"order_id":"x","client":"cliente02","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","decision":"pending"}`)
	location := s.send(http.MethodPost, "/orders", orderOf(nil)).Header().Get("Location")
	if location != "/trace/4bf92f3577b34da6a3ce929d0e0e4736?done=pending" {
		t.Fatalf("got %q for an order that is not decided", location)
	}
	if w := s.send(http.MethodGet, location, nil); !strings.Contains(w.Body.String(), "waits to be decided") {
		t.Errorf("got no notice in\n%s", w.Body)
	}
}

// TestAChangeKeepsParameters sends the form that changes an order back as it is shown.
func TestAChangeKeepsParameters(t *testing.T) {
	s := newStand(t, "")
	kept := map[string]string{"a": "b=c", "with space": "1  2", "empty": "", "quoted": `"<b>&amp;`}
	answer, err := json.Marshal(map[string]any{"order_id": "o1", "client": "cliente02", "product": "Product-A", "version": 3, "parameters": kept})
	if err != nil {
		t.Fatal(err)
	}
	s.on("GET /v1/orders/o1", 200, string(answer))
	s.on("PUT /v1/orders/o1", 200, `{"order_id":"o1","client":"cliente02","decision":"accepted","version":4}`)
	page := s.send(http.MethodGet, "/orders/o1/change?client=cliente02", nil).Body.String()
	_, text, _ := strings.Cut(page, `<textarea id="parameters"`)
	_, text, _ = strings.Cut(text, ">")
	text, _, _ = strings.Cut(text, "</textarea>")
	text = strings.ReplaceAll(html.UnescapeString(text), "\n", "\r\n") // as browsers send it
	form := orderOf(func(v url.Values) { v.Set("version", "3"); v.Set("parameters", text) })
	if w := s.send(http.MethodPost, "/orders/o1/change", form); w.Code != http.StatusSeeOther {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	var sent wanted
	if err := json.Unmarshal([]byte(s.bodies[len(s.bodies)-1]), &sent); err != nil || !maps.Equal(sent.Parameters, kept) {
		t.Errorf("got parameters %q (%v), want %q", sent.Parameters, err, kept)
	}
}

// TestOrderRefused wants what is wrong beside its field, and what was typed kept.
func TestOrderRefused(t *testing.T) {
	s := newStand(t, "")
	f := func(status int, answer string, want ...string) {
		t.Helper()
		s.on("POST /v1/orders", status, answer)
		w := s.send(http.MethodPost, "/orders", orderOf(func(v url.Values) { v.Set("namespace", `"><b>`) }))
		if w.Code != status {
			t.Errorf("got %d, want %d", w.Code, status)
		}
		for _, part := range append(want, `role="alert"`, `&#34;&gt;&lt;b&gt;`) {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("got no %q in\n%s", part, w.Body)
			}
		}
	}
	f(400, `{"status":400,"detail":"x","errors":[{"field":"namespace","reason":"want a DNS label"}]}`, `<p class="wrong" id="wrong-namespace">want a DNS label`, `aria-invalid="true"`)
	f(409, `{"status":409,"detail":"taken by o7","reason":"namespace_taken"}`, `id="wrong-namespace">taken by o7`)
	f(400, `{"status":400,"detail":"not sold on it","reason":"hardware_not_offered"}`, `id="wrong-hardware">not sold on it`)
	f(409, `{"status":409,"detail":"too many","reason":"too_many_orders"}`, "too many")
	before := len(s.asked)
	for _, text := range []string{"no sign", "a=1\na =2"} {
		w := s.send(http.MethodPost, "/orders", orderOf(func(v url.Values) { v.Set("parameters", text) }))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `id="wrong-parameters"`) || len(s.asked) != before {
			t.Errorf("got %d %s for parameters %q", w.Code, w.Body, text)
		}
	}
	if w := s.send(http.MethodPost, "/orders", url.Values{"client": {strings.Repeat("x", maxForm)}}); w.Code == http.StatusSeeOther || len(s.asked) == before+2 {
		t.Errorf("a form over the bound was answered %d", w.Code)
	}
}

// TestOrderAgain holds that a form which is shown again can be sent again: under its own id as long as nobody knows whether it was
// taken, so that it orders once; under a new one when the answer to the old one is remembered.
func TestOrderAgain(t *testing.T) {
	s := newStand(t, "")
	f := func(method, path string, status int, answer string, same bool, want ...string) {
		t.Helper()
		s.on(method+" /v1"+strings.TrimSuffix(path, "/change"), status, answer)
		w := s.send(http.MethodPost, path, orderOf(func(v url.Values) { v.Set("version", "3") }))
		body := w.Body.String()
		if kept := strings.Contains(body, `name="id" value="o-aaaaaaaaaaaaa"`); kept != same || !strings.Contains(body, `name="id" value="o-`) {
			t.Errorf("%s: kept the id: %v, want %v, in\n%s", answer, kept, same, body)
		}
		for _, part := range append(want, `value="cliente02"`, `value="plant"`, "b = 2") {
			if !strings.Contains(body, part) {
				t.Errorf("%s: got %d and no %q in\n%s", answer, w.Code, part, body)
			}
		}
	}
	f("POST", "/orders", 409, `{"detail":"too many","reason":"too_many_orders"}`, false, "too many")
	f("POST", "/orders", 400, `{"detail":"x","errors":[{"field":"client","reason":"want a DNS label"}]}`, true, "want a DNS label") // the log has none of it
	f("POST", "/orders", 429, `{"detail":"later"}`, true, "later")
	f("POST", "/orders", 503, `{"detail":"the order may or may not be in it"}`, true, "the order may or may not be in it", "Send the form again as it is")
	f("POST", "/orders", 200, `no answer`, true, "read the gateway", "Send the form again as it is")
	f("PUT", "/orders/o1/change", 503, `{"detail":"unconfirmed"}`, true, "unconfirmed", `name="version" value="3"`)
	f("PUT", "/orders/o1/change", 409, `{"detail":"at version 4, not 3","reason":"stale_version","version":4}`, false, "at version 4, not 3", `href="/orders/o1/change?client=cliente02"`)
}

func TestChangeAndCancel(t *testing.T) {
	s := newStand(t, "")
	s.on("PUT /v1/orders/o1", 200, `{"order_id":"o1","client":"cliente02","decision":"changed","version":4}`)
	s.on("DELETE /v1/orders/o1", 409, `{"status":409,"detail":"the order is at version 4, not 3","reason":"stale_version","version":4}`)
	w := s.send(http.MethodPost, "/orders/o1/change", orderOf(func(v url.Values) { v.Set("version", "3") }))
	if w.Code != http.StatusSeeOther || s.asked[0].Header.Get("If-Match") != `"3"` {
		t.Errorf("got %d, If-Match %q", w.Code, s.asked[0].Header.Get("If-Match"))
	}
	w = s.send(http.MethodPost, "/orders/o1/cancel", url.Values{"client": {"cliente02"}, "version": {"3"}, "why": {"moved"}})
	if w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "version 4, not 3") || !strings.Contains(s.bodies[1], "moved") {
		t.Errorf("got %d %s for a stale cancellation", w.Code, w.Body)
	}
}

func TestIntervene(t *testing.T) {
	s := newStand(t, "")
	s.withOrder()
	s.on("POST /v1/orders/o1/retry", 202, `{"order_id":"o1","client":"cliente02","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736"}`)
	form := url.Values{"client": {"cliente02"}, "version": {"3"}, "why": {"the disk is back"}}
	if w := s.send(http.MethodPost, "/orders/o1/retry", form); w.Code != http.StatusSeeOther || !strings.Contains(w.Header().Get("Location"), "done=retry") {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	const want = `{"client":"cliente02","requested_by":"local","reason":"the disk is back","Metadata":{"origin":"portal","publisher":"fieldlog"}}`
	if len(s.asked) != 1 || s.bodies[0] != want || s.asked[0].Header.Get("If-Match") != `"3"` {
		t.Errorf("got %s, want %s", s.bodies, want)
	}
	s.on("POST /v1/orders/o1/abandon", 409, `{"status":409,"detail":"the order is at version 3, not 2"}`)
	form.Set("version", "2")
	if w := s.send(http.MethodPost, "/orders/o1/abandon", form); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "version 3, not 2") {
		t.Errorf("got %d %s for a version that is gone", w.Code, w.Body)
	}
}

func TestLetters(t *testing.T) {
	s := newStand(t, "")
	if w := s.send(http.MethodPost, "/letters/discard", url.Values{"letter": {"l1"}}); w.Code != http.StatusBadRequest || len(s.chosen) != 0 {
		t.Errorf("got %d and %v without a reason", w.Code, s.chosen)
	}
	form := url.Values{"letter": {"l1"}, "why": {"fixed"}}
	if w := s.send(http.MethodPost, "/letters/redrive", form); w.Code != http.StatusSeeOther || s.chosen[0] != "redrive l1 local fixed" {
		t.Errorf("got %d and %v", w.Code, s.chosen)
	}
	s.desk = Outcome{Detail: "waits: an earlier one is open"}
	if w := s.send(http.MethodPost, "/letters/redrive", form); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "an earlier one is open") {
		t.Errorf("got %d for a letter that waits", w.Code)
	}
	s.deskErr = errors.New("no broker")
	if w := s.send(http.MethodPost, "/letters/discard", form); w.Code != http.StatusBadGateway {
		t.Errorf("got %d where the log does not answer", w.Code)
	}
}

// TestForeignForms holds that no other site can act for somebody.
func TestForeignForms(t *testing.T) {
	s := newStand(t, "")
	s.withOrder()
	f := func(name string, want int, change func(*http.Request)) {
		t.Helper()
		if w := s.send(http.MethodPost, "/orders/o1/retry", url.Values{"client": {"cliente02"}}, change); w.Code != want {
			t.Errorf("%s: got %d, want %d", name, w.Code, want)
		}
	}
	f("another site", http.StatusForbidden, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
	f("another site of the domain", http.StatusForbidden, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") })
	f("an old browser on another site", http.StatusForbidden, func(r *http.Request) {
		r.Header.Del("Sec-Fetch-Site")
		r.Header.Set("Origin", "http://evil.example")
	})
	f("a name that points at this machine", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "evil.example:8000" })
	if len(s.asked) != 0 {
		t.Fatalf("the gateway was asked %v", s.bodies)
	}
	s.on("POST /v1/orders/o1/retry", 202, `{"order_id":"o1"}`)
	f("its own page", http.StatusSeeOther, func(*http.Request) {})
	f("its own page by name", http.StatusSeeOther, func(r *http.Request) { r.Host = "localhost:8000" })
}
