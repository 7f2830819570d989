package gateway_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway"
)

// fixture is a gateway on a log in memory.
type fixture struct {
	*gateway.Gateway
	cluster  *eventlogtest.Cluster
	log      *eventlog.Log
	registry *prometheus.Registry
}

func start(t testing.TB, cfg gateway.Config) *fixture { return startOn(t, eventlogtest.Start(t), cfg) }

func startOn(t testing.TB, cluster *eventlogtest.Cluster, cfg gateway.Config) *fixture {
	t.Helper()
	log := cluster.Open(t, cluster.Config())
	registry := prometheus.NewRegistry()
	g, err := gateway.New(cfg, log, slog.New(slog.DiscardHandler), registry, registry)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{Gateway: g, cluster: cluster, log: log, registry: registry}
}

// asked is a request from this machine.
func asked(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8080"
	return r
}

// do sends a request and returns status, body and headers.
func (f *fixture) do(t testing.TB, method, target, body string, headers ...string) (int, string, http.Header) {
	t.Helper()
	req := asked(method, target, body)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	recorder := httptest.NewRecorder()
	f.ServeHTTP(recorder, req)
	return recorder.Code, recorder.Body.String(), recorder.Header()
}

// stored returns every report on the topic, in the order of each key.
func (f *fixture) stored(t testing.TB) []schemas.TelemetryReported {
	t.Helper()
	decoder := eventlog.NewDecoder[schemas.TelemetryReported](f.log, schemas.KindTelemetryReported)
	var all []schemas.TelemetryReported
	for record, err := range f.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		var r schemas.TelemetryReported
		if err := decoder.Decode(t.Context(), record, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// value sums up a counter or a gauge over all its labels.
func (f *fixture) value(t testing.TB, name string) (sum float64) {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
			return sum
		}
	}
	t.Fatalf("there is no metric %q", name)
	return 0
}

const good = `{"client":"cliente02","device":"pump-7","time":"2026-11-24T04:00:00Z","readings":{"temperature":21.5,"running":true,"state":"ok"}}`

// future lets the tests' fixed times pass whenever they run.
var future = gateway.Config{Future: 1e18, Age: 1e18}

func TestAReportIsInTheLogWhenItIsAcknowledged(t *testing.T) {
	f := start(t, future)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	status, body, header := f.do(t, "POST", "/v1/telemetry?positions=true", good, "traceparent", parent)
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, body)
	}
	var answer struct {
		Accepted, Readings, Refused int
		TraceID                     string `json:"trace_id"`
		Items                       []struct {
			EventID   string `json:"event_id"`
			Topic     string
			Partition int32
			Offset    int64
		}
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Accepted != 1 || answer.Readings != 3 || answer.TraceID != "4bf92f3577b34da6a3ce929d0e0e4736" || len(answer.Items) != 1 || answer.Items[0].Topic != "telemetry" {
		t.Errorf("got %s", body)
	}
	if continued := header.Get("traceparent"); !strings.Contains(continued, answer.TraceID) || continued == parent {
		t.Errorf("traceparent %q does not continue %q", continued, parent)
	}
	stored := f.stored(t)
	if len(stored) != 1 || stored[0].EventID != answer.Items[0].EventID || stored[0].TraceID != answer.TraceID || stored[0].Origin != "http" ||
		stored[0].EventType != "fieldlog.gateway.telemetry.cliente02.reported" || len(stored[0].Readings) != 3 {
		t.Errorf("stored %+v", stored)
	}
}

func TestShapesAndCodings(t *testing.T) {
	f := start(t, future)
	zip := func(text string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.String()
	}
	deflate := func(text string) string {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return b.String()
	}
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	ok := func(target, body string, reports, status int, headers ...string) {
		t.Helper()
		if got, text, _ := f.do(t, "POST", target, body, headers...); got != status {
			t.Errorf("%q: got %d %s, want %d", body, got, text, status)
		}
		want += reports
	}
	ok("/v1/telemetry", good, 1, 200)
	ok("/v1/telemetry", "["+good+","+good+"]", 2, 200, "Content-Type", "application/json; charset=utf-8")
	ok("/v1/telemetry", good+"\n"+good+"\n", 2, 200, "Content-Type", "application/x-ndjson")
	ok("/v1/telemetry", good, 1, 200, "Content-Type", "application/x-www-form-urlencoded") // curl -d
	ok("/v1/telemetry", zip(good), 1, 200, "Content-Encoding", "gzip")
	ok("/v1/telemetry", deflate(good), 1, 200, "Content-Encoding", "deflate")
	ok("/v1/telemetry", string(encoder.EncodeAll([]byte(good), nil)), 1, 200, "Content-Encoding", "zstd")
	ok("/v1/telemetry", good+"\n{broken\n"+good+"\n", 2, 207, "Content-Type", "application/x-ndjson")
	ok("/v1/telemetry", "["+good+`,{"client":1}]`, 1, 207)
	ok("/api/v2/write?bucket=cliente02&precision=s", "weather,device=d1,site=n temperature=21.5,ok=true 1764000000\nweather,device=d1,site=n temperature=22 1764000001\n", 1, 204)
	ok("/write?db=cliente02&precision=ms", zip("cpu,host=h1 value=1i\ncpu,host=h2 value=2i 1764000000000"), 2, 204, "Content-Encoding", "gzip")
	ok("/write?db=x", "good,host=h1 value=1i\nbad line\nweather,host=h1 t=5", 1, 400)
	if got := len(f.stored(t)); got != want {
		t.Errorf("%d reports are in the log, want %d", got, want)
	}
	if got := f.value(t, "fieldlog_gateway_reports_accepted_total"); got != float64(want) {
		t.Errorf("the counter says %v, want %d", got, want)
	}
	for _, name := range []string{"requests_total", "request_duration_seconds", "reports_refused_total", "readings_accepted_total", "body_bytes_total"} {
		if f.value(t, "fieldlog_gateway_"+name) == 0 {
			t.Errorf("%s counts nothing", name)
		}
	}
}

func TestUnknownFieldsAreCountedOrRefused(t *testing.T) {
	const extra = `{"client":"c","device":"d","readings":{"a":1},"colour":"red"}`
	f := start(t, future)
	if status, body, _ := f.do(t, "POST", "/v1/telemetry", extra); status != 200 || f.value(t, "fieldlog_gateway_unknown_fields_total") != 1 {
		t.Errorf("got %d %s", status, body)
	}
	strict := future
	strict.Strict = true
	if status, body, _ := start(t, strict).do(t, "POST", "/v1/telemetry", extra); status != 400 || !strings.Contains(body, "colour") {
		t.Errorf("strict: got %d %s", status, body)
	}
}

// TestAPageOfAnotherSiteDoesNothing: where nobody is asked who he is, whoever looks at such a page would be made to order.
func TestAPageOfAnotherSiteDoesNothing(t *testing.T) {
	guarded := selling
	guarded.Tokens = []string{"a-token-of-some-length"}
	open, closed := start(t, selling), start(t, guarded)
	g := func(f *fixture, method, target, host string, want int, headers ...string) {
		t.Helper()
		r := asked(method, target, original)
		r.Host = host
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s at %s %v: got %d %s, want %d", method, target, host, headers, w.Code, w.Body, want)
		}
	}
	ways := []string{"POST /v1/orders", "PUT /v1/orders/o", "DELETE /v1/orders/o", "POST /v1/orders/o/retry", "POST /v1/orders/o/abandon", "POST /v1/events", "POST /v1/telemetry", "POST /write?db=c"}
	for _, way := range ways {
		method, path, _ := strings.Cut(way, " ")
		g(open, method, path, "127.0.0.1:8080", 403, "Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain")
		g(open, method, path, "localhost:8080", 403, "Origin", "http://evil.example")
		g(open, method, path, "evil.example:8080", 421, "Sec-Fetch-Site", "same-origin") // a name that was made to point here
		g(closed, method, path, "door.example", 403, "Sec-Fetch-Site", "cross-site", "Authorization", "Bearer a-token-of-some-length")
	}
	g(open, "GET", "/v1/topics/telemetry/events", "evil.example:8080", 421)
	g(open, "GET", "/metrics", "evil.example:8080", 421)
	if inputs, _ := open.inputs(t); len(inputs) != 0 {
		t.Errorf("got inputs %v, want none", inputs)
	}
	g(open, "POST", "/v1/orders", "localhost:8080", 202)
	g(closed, "POST", "/v1/orders", "door.example", 202, "Authorization", "Bearer a-token-of-some-length")
}

func TestTokens(t *testing.T) {
	cfg := future
	cfg.Tokens = []string{"first-token-0123456789", "second-token-0123456789"}
	f := start(t, cfg)
	try := func(want int, target string, headers ...string) {
		t.Helper()
		if status, body, _ := f.do(t, "POST", target, good, headers...); status != want {
			t.Errorf("%v: got %d %s, want %d", headers, status, body, want)
		}
	}
	try(401, "/v1/telemetry")
	try(401, "/v1/telemetry", "Authorization", "Bearer wrong")
	try(200, "/v1/telemetry", "Authorization", "Bearer first-token-0123456789")
	try(200, "/v1/telemetry", "Authorization", "bearer second-token-0123456789")
	try(401, "/write?db=c")
	try(400, "/write?db=c&u=x&p=first-token-0123456789") // let in; JSON is no line protocol
	try(400, "/api/v2/write?bucket=c", "Authorization", "Token first-token-0123456789")
}

func TestOffLoopbackNeedsAToken(t *testing.T) {
	f := func(listen, token string, ok bool) {
		t.Helper()
		cfg := gateway.Config{Listen: listen}
		if token != "" {
			cfg.Tokens = []string{token}
		}
		_, err := gateway.New(cfg, nil, slog.New(slog.DiscardHandler), nil, prometheus.NewRegistry())
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "--gateway-token") {
			t.Errorf("%s with token %q: got %v", listen, token, err)
		}
	}
	f("127.0.0.1:0", "", true)
	f("127.9.9.9:80", "", true)
	f("[::1]:80", "", true)
	f("localhost:80", "", true)
	f(":8080", "", false)
	f("0.0.0.0:80", "", false)
	f("[::]:80", "", false)
	f("192.0.2.1:80", "", false)
	f("example.com:80", "", false)
	f(":8080", "a-token-of-some-length", true)
	f("127.0.0.1:0", "short", false)
}

func TestTheDocumentNamesEveryRoute(t *testing.T) {
	f := start(t, future)
	for _, path := range []string{"/v1/clients", "/v1/clients/{client}", "/v1/clients/{client}/events", "/v1/orders", "/v1/orders/{order}"} {
		f.Mount("GET", path, "directory", http.NotFound) // as package main does
	}
	_, body, _ := f.do(t, "GET", "/openapi.json", "")
	var document struct {
		OpenAPI string
		Paths   map[string]map[string]any
	}
	if err := json.Unmarshal([]byte(body), &document); err != nil || document.OpenAPI == "" {
		t.Fatal(err)
	}
	_, index, _ := f.do(t, "GET", "/", "")
	routes := strings.Split(strings.TrimSpace(strings.SplitN(index, "\n", 2)[1]), "\n")
	for _, route := range routes {
		method, path, _ := strings.Cut(strings.TrimSpace(route), " ")
		if document.Paths[path][strings.ToLower(method)] == nil {
			t.Errorf("the document lacks %s", route)
		}
		delete(document.Paths[path], strings.ToLower(method))
	}
	for path, methods := range document.Paths {
		if len(methods) > 0 {
			t.Errorf("the document has methods of %s that do not exist: %v", path, methods)
		}
	}
}
