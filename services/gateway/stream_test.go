package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

func TestFollowingShowsWhatComes(t *testing.T) {
	cfg := future
	cfg.Heartbeat = 20 * time.Millisecond
	f := startReadable(t, cfg)
	f.fill(t)
	resp := f.open(t, "/v1/topics/telemetry/events?follow=true&client=c9") // the header is there: it follows from the end
	lines := bufio.NewReader(resp.Body)
	next := func() string {
		t.Helper()
		text, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if beat := next(); beat != "\n" {
		t.Errorf("got %q, want a sign of life", beat)
	}
	for i := range 3 {
		at := f.report(t, "c9", "d", fmt.Sprint(i))
		text := next()
		for text == "\n" {
			text = next()
		}
		if l := parsed(t, text); l.Offset != at.Offset || l.Partition != at.Partition {
			t.Errorf("got %s, want %v", text, at)
		}
	}
}

// TestWaitingEndsWithTheFirstRecords is what a worker in shell does, again and again.
func TestWaitingEndsWithTheFirstRecords(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	if got := f.read(t, "/v1/topics/telemetry/events?wait=5m"); len(got) == 0 {
		t.Error("got nothing of what is there")
	}
	answered := make(chan []eventlog.Line)
	go func() { answered <- f.read(t, "/v1/topics/telemetry/events?wait=5m&from=end&client=c9") }()
	for i := 0; ; i++ {
		f.report(t, "c9", "d", fmt.Sprint(i)) // until it has begun to wait
		select {
		case got := <-answered:
			if len(got) == 0 {
				t.Error("it did not wait")
			}
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// event is a server-sent event.
type event struct{ id, data string }

// nextEvent reads the next one.
func nextEvent(t *testing.T, r *bufio.Reader) (e event) {
	t.Helper()
	for {
		text, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		switch name, value, _ := strings.Cut(strings.TrimSpace(text), ": "); {
		case name == "id":
			e.id = value
		case name == "data":
			e.data = value
		case text == "\n" && e.data != "":
			return e
		}
	}
}

func TestServerSentEventsResume(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	const path = "/v1/topics/telemetry/events?from=start"
	resp := f.open(t, path, "Accept", "text/event-stream")
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Fatalf("got %q", kind)
	}
	seen, last := map[string]int{}, event{}
	events := bufio.NewReader(resp.Body)
	for range 13 {
		last = nextEvent(t, events)
		l := parsed(t, last.data)
		seen[fmt.Sprint(l.Partition, l.Offset)]++
	}
	resp.Body.Close()

	resp = f.open(t, path, "Accept", "text/event-stream", "Last-Event-ID", last.id)
	events = bufio.NewReader(resp.Body)
	for range 17 {
		l := parsed(t, nextEvent(t, events).data)
		seen[fmt.Sprint(l.Partition, l.Offset)]++
	}
	at := f.report(t, "c0", "d", "new")
	if l := parsed(t, nextEvent(t, events).data); l.Offset != at.Offset || l.Partition != at.Partition {
		t.Errorf("got %+v, want %v", l, at)
	}
	if len(seen) != 30 {
		t.Errorf("%d of 30 records were seen once: %v", len(seen), seen)
	}

	// Of another topic with that name the reader has seen nothing.
	other := strings.Repeat("0", 32) + last.id[strings.Index(last.id, ":"):]
	resp = f.open(t, path, "Accept", "text/event-stream", "Last-Event-ID", other)
	if l := parsed(t, nextEvent(t, bufio.NewReader(resp.Body)).data); l.Offset != 0 {
		t.Errorf("after the topic was created anew: got %+v", l)
	}
}

// TestServerSentEventsResumeBeforeTheFirst loses a stream that has told nothing yet, and misses nothing that came meanwhile.
func TestServerSentEventsResumeBeforeTheFirst(t *testing.T) {
	f := startReadable(t, future)
	f.fill(t)
	const path = "/v1/topics/telemetry/events"
	resp := f.open(t, path, "Accept", "text/event-stream")
	first, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	at := f.report(t, "c0", "d", "meanwhile")
	resp = f.open(t, path, "Accept", "text/event-stream", "Last-Event-ID", strings.TrimSpace(strings.TrimPrefix(first, "id: ")))
	if l := parsed(t, nextEvent(t, bufio.NewReader(resp.Body)).data); l.Offset != at.Offset || l.Partition != at.Partition {
		t.Errorf("got %+v, want %v", l, at)
	}
}

func TestTooManyReadersAreSentAway(t *testing.T) {
	cfg := future
	cfg.MaxReaders = 2
	f := startReadable(t, cfg)
	const path = "/v1/topics/telemetry/events?follow=true"
	first := f.open(t, path)
	f.open(t, path)
	if resp := f.open(t, path); resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the third got %d", resp.StatusCode)
	}
	if got := f.value(t, "fieldlog_gateway_readers"); got != 2 {
		t.Errorf("%v readers are counted, want 2", got)
	}
	if status, _, _ := f.do(t, "POST", "/v1/telemetry", good); status != 200 {
		t.Errorf("a report got %d meanwhile", status)
	}
	first.Body.Close() // the place of a client that went is free again
	for {
		resp := f.open(t, path)
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
}

// TestReadersDoNotHoldUpTheEnd stops a gateway that is being read.
func TestReadersDoNotHoldUpTheEnd(t *testing.T) {
	cfg := future
	cfg.Drain = time.Minute
	f := startReadable(t, cfg)
	resp := f.open(t, "/v1/topics/telemetry/events?follow=true")
	begin := time.Now()
	f.stop()
	if took := time.Since(begin); took > cfg.Drain/2 {
		t.Errorf("it took %s to end", took)
	}
	if text, err := io.ReadAll(resp.Body); err != nil || len(text) > 0 {
		t.Errorf("the reader got %q, %v, want an end", text, err)
	}
}

func TestALogThatDoesNotAnswerReaders(t *testing.T) {
	fake := eventlogtest.StartFake(t)
	f := reading(t, startOn(t, fake.Cluster, future))
	fake.Kafka.Close()
	for _, route := range []string{"GET /v1/topics/telemetry/events?group=g", "GET /v1/topics/telemetry/groups/g"} {
		method, path, _ := strings.Cut(route, " ")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		req, _ := http.NewRequestWithContext(ctx, method, path, nil)
		recorder := httptest.NewRecorder()
		f.ServeHTTP(recorder, req)
		cancel()
		if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s", route, recorder.Code, recorder.Body)
		}
	}
}

// TestAReaderThatTakesNothingIsCutOff offers a reader more than its connection holds.
func TestAReaderThatTakesNothingIsCutOff(t *testing.T) {
	cfg := future
	cfg.Stall = 100 * time.Millisecond
	f := startReadable(t, cfg)
	large := strings.Repeat("x", 900_000)
	for i := range 40 {
		if _, err := f.log.Append(t.Context(), &schemas.TelemetryReported{
			Envelope: schemas.Envelope{EventID: fmt.Sprint(i)}, Client: "c", Device: "d", Readings: []schemas.Reading{{Metric: "m", Value: schemas.TextValue(large)}},
		}); err != nil {
			t.Fatal(err)
		}
	}
	resp := f.open(t, "/v1/topics/telemetry/events")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("got %d", resp.StatusCode)
	}
	for f.value(t, "fieldlog_gateway_readers") > 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("it is still there")
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= 40*900_000 {
		t.Errorf("it read %d bytes, %v, want a broken stream", n, err)
	}
}

// TestAStreamThatBreaksOffSaysWhy offers a record whose schema cannot be asked for after one whose schema is known.
func TestAStreamThatBreaksOffSaysWhy(t *testing.T) {
	fake := eventlogtest.StartFake(t)
	f := reading(t, startOn(t, fake.Cluster, future))
	at := f.report(t, "c", "d", "known")
	if got := f.read(t, "/v1/topics/telemetry/events"); len(got) != 1 {
		t.Fatalf("got %d records", len(got))
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(f.cluster.Config().Brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	unknown := &kgo.Record{Topic: f.cluster.Name("telemetry"), Partition: int32(at.Partition), Value: []byte{0, 0, 0, 18, 103, 0}}
	if err := client.ProduceSync(t.Context(), unknown).FirstErr(); err != nil {
		t.Fatal(err)
	}
	fake.Registry.Close()
	status, body, _ := f.do(t, "GET", "/v1/topics/telemetry/events", "")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if status != 200 || len(lines) != 2 || !strings.Contains(lines[0], `"known"`) || !strings.HasPrefix(lines[1], `{"problem":{`) || !strings.Contains(lines[1], `"status":503`) {
		t.Errorf("got %d %s", status, body)
	}
	_, body, _ = f.do(t, "GET", "/v1/topics/telemetry/events?from=start&format=sse&follow=false", "")
	if !strings.Contains(body, "event: problem\ndata: {") {
		t.Errorf("server-sent events: got %s", body)
	}
	if status, body, _ := f.do(t, "GET", "/v1/topics/telemetry/events?from=1", ""); status != 503 {
		t.Errorf("where nothing was sent before: got %d %s", status, body)
	}
}
