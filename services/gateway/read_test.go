package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway"
)

// readable is a gateway that listens, with telemetry in two partitions.
type readable struct {
	*fixture
	url  string
	stop func()
}

func startReadable(t *testing.T, cfg gateway.Config) *readable { return reading(t, start(t, cfg)) }

func reading(t *testing.T, f *fixture) *readable {
	t.Helper()
	addr, stop := run(t, f)
	return &readable{fixture: f, url: "http://" + addr, stop: stop}
}

// run lets a gateway listen on a free port.
func run(t *testing.T, f *fixture) (addr string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop = func() {
		if cancel(); done != nil {
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
			done = nil
		}
	}
	t.Cleanup(stop)
	return f.Addr(), stop
}

func (f *readable) report(t *testing.T, client, device, id string) eventlog.Position {
	t.Helper()
	at, err := f.log.Append(t.Context(), &schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: id}, Client: client, Device: device, Readings: []schemas.Reading{{Metric: "m", Value: schemas.DoubleValue(1)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// fill appends reports of three clients, ten each.
func (f *readable) fill(t *testing.T) {
	t.Helper()
	for i := range 10 {
		for client := range 3 {
			f.report(t, fmt.Sprintf("c%d", client), "d", fmt.Sprintf("%d-%d", client, i))
		}
	}
}

// open begins a request that is cut off when the test ends.
func (f *readable) open(t *testing.T, path string, headers ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// read reads an answer that ends.
func (f *readable) read(t *testing.T, path string) []eventlog.Line {
	t.Helper()
	resp := f.open(t, path)
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: got %d %s (%v)", path, resp.StatusCode, text, err)
	}
	var all []eventlog.Line
	for line := range strings.Lines(string(text)) {
		all = append(all, parsed(t, line))
	}
	return all
}

func parsed(t *testing.T, text string) (line eventlog.Line) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return line
}

func TestATopicIsReadAsLines(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	n := func(want int, query string) []eventlog.Line {
		t.Helper()
		all := f.read(t, "/v1/topics/telemetry/events"+query)
		if len(all) != want {
			t.Errorf("%s: got %d records, want %d", query, len(all), want)
		}
		return all
	}
	all := n(30, "")
	next := map[eventlog.Partition]eventlog.Offset{}
	for _, l := range all {
		if l.Offset != next[l.Partition] || l.Subject != schemas.KindTelemetryReported.Subject || l.Headers["ce_type"] != string(l.Subject) || len(l.Event) == 0 || l.Timestamp.IsZero() {
			t.Errorf("got %+v after offset %d", l, next[l.Partition]-1)
		}
		next[l.Partition]++
	}
	n(30, "?from=start")
	n(0, "?from=end")
	n(0, "?from=2999-01-01")
	n(30, "?from=-1h")
	n(10, "?client=c1")
	n(30, "?device=d")
	n(10, "?key=c2/d")
	n(0, "?client=c")
	n(7, "?limit=7")
	n(0, "?wait=1ms&from=end")
	first := all[0].Partition
	of := f.read(t, fmt.Sprintf("/v1/topics/telemetry/events?partition=%d", first))
	if len(of) != int(next[first]) {
		t.Errorf("partition %d: got %d records, want %d", first, len(of), next[first])
	}
	n(len(of)-3, fmt.Sprintf("?partition=%d&from=3", first))
	n(0, "?format=ndjson&from=99")
	if got := f.read(t, "/v1/topics/events/events"); len(got) != 0 {
		t.Errorf("got %+v of an empty topic", got)
	}
	if f.value(t, "fieldlog_gateway_records_read_total") < 100 {
		t.Error("what was read is not counted")
	}
}

func TestWhatIsNoEventIsShownAsItIs(t *testing.T) {
	f := startReadable(t, future)
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cluster.Config().Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: f.cluster.Name("telemetry"), Key: []byte("x"), Value: []byte("hello")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := f.read(t, "/v1/topics/telemetry/events"); len(got) != 1 || got[0].Reason != schemas.ReasonNotOurs || string(got[0].Value) != "hello" || got[0].Key != "x" {
		t.Errorf("got %+v", got)
	}
}

func TestReadersQuestionsAreChecked(t *testing.T) {
	f := startReadable(t, future)
	try := func(method, path string, status int, want string, headers ...string) {
		t.Helper()
		got, text, header := f.do(t, method, path, "", headers...)
		if got != status || !strings.Contains(unescaped(text), want) || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d %s, want %d and %q", method, path, got, text, status, want)
		}
	}
	const events = "/v1/topics/telemetry/events"
	try("GET", "/v1/topics/nothing/events", 404, "there are telemetry")
	try("GET", events+"?from=yesterday", 400, "an offset, a time")
	try("GET", events+"?form=start", 400, `form\" is not known`)
	try("GET", events+"?format=xml", 400, "ndjson or sse")
	try("GET", events+"?follow=maybe", 400, "true nor false")
	try("GET", events+"?wait=30", 400, "duration")
	try("GET", events+"?wait=1h", 400, "5m0s")
	try("GET", events+"?wait=1s&follow=true", 400, "exclude")
	try("GET", events+"?limit=0", 400, "number of records")
	try("GET", events+"?partition=x", 400, "no partition")
	try("GET", events+"?partition=99", 400, "no partition 99")
	try("GET", events+"?group=a/b", 400, "group's name")
	try("GET", events+"?group=", 400, "group's name")
	try("GET", events+"?group=g&client=c", 400, "choose in the worker")
	try("GET", events, 400, "Last-Event-ID", "Accept", "text/event-stream", "Last-Event-ID", "17")
	try("GET", events, 400, "Last-Event-ID", "Accept", "text/event-stream", "Last-Event-ID", strings.Repeat("0", 32)+":0=x")
	try("POST", events, 405, "takes GET, not POST")
	try("GET", "/v1/topics/telemetry/groups/g/ack", 405, "takes POST")
	try("PUT", "/v1/topics/telemetry/groups/g", 405, "takes GET or DELETE")
	try("GET", "/v1/topics/telemetry", 404, "openapi.json")
	try("GET", "/v1/topics/nothing/groups/g", 404, "no topic")
	try("DELETE", "/v1/topics/telemetry/groups/"+strings.Repeat("g", 129), 400, "group's name")
}

func TestReadersNeedTheToken(t *testing.T) {
	cfg := future
	cfg.Tokens = []string{"first-token-0123456789"}
	f := start(t, cfg)
	for _, route := range []string{
		"GET /v1/topics/telemetry/events", "POST /v1/topics/telemetry/groups/g/ack", "GET /v1/topics/telemetry/groups/g", "DELETE /v1/topics/telemetry/groups/g", "POST /v1/events",
	} {
		method, path, _ := strings.Cut(route, " ")
		if status, body, _ := f.do(t, method, path, ""); status != http.StatusUnauthorized {
			t.Errorf("%s: got %d %s", route, status, body)
		}
	}
	if status, _, _ := f.do(t, "GET", "/v1/topics/telemetry/events", "", "Authorization", "Bearer first-token-0123456789"); status != 200 {
		t.Errorf("with the token: got %d", status)
	}
}
