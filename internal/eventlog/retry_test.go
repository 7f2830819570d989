package eventlog_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

func TestOnlyMarkedRecordsHaveASendersID(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	batch := log.NewBatch()
	for n := range 10 {
		add := batch.Add
		if n%2 == 0 {
			add = batch.AddRetryable
		}
		if err := add(report(n)); err != nil {
			t.Fatal(err)
		}
	}
	batch.Commit(t.Context())
	marked := map[string]bool{}
	for record, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		if id, own := record.SenderID(); own {
			marked[string(id.ID)] = string(id.Source) == "test"
		}
	}
	for n := range 10 {
		if id := fmt.Sprintf("event-%d", n); marked[id] != (n%2 == 0) {
			t.Errorf("%s is marked: %v", id, marked[id])
		}
	}
}

func TestSenderID(t *testing.T) {
	f := func(want string, headers ...string) {
		t.Helper()
		var r eventlog.Record
		for i := 0; i < len(headers); i += 2 {
			r.Headers = append(r.Headers, schemas.Header{Key: headers[i], Value: []byte(headers[i+1])})
		}
		if id, own := r.SenderID(); string(id.ID) != want && own || own != (want != "") {
			t.Errorf("%q: got %q %v, want %q", headers, id, own, want)
		}
	}
	f("")
	f("", "ce_id", "a")
	f("a", "ce_id", "a", "fieldlog-retryable", "1")
	f("a", "fieldlog-retryable", "1", "ce_id", "a")
	f("", "fieldlog-retryable", "1")
	f("", "ce_id", "", "fieldlog-retryable", "1")
	f("", "ce_id", "a", "fieldlog-retryable", "0")
	f("", "ce_id", "a", "fieldlog-retryable", "1", "fieldlog-redriven", "somewhere")
}

func TestFirstSince(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	log := cluster.Open(t, cfg)
	appendReports(t, log, 0, 20)
	f := func(want, from eventlog.Offset, since time.Time) {
		t.Helper()
		if got, err := log.FirstSince(t.Context(), eventlog.TopicTelemetry, 0, from, since); err != nil || got != want {
			t.Errorf("from %d since %s: got %d (%v), want %d", from, since, got, err, want)
		}
	}
	f(0, 10, time.Unix(0, 0))
	f(10, 10, time.Now().Add(time.Hour))
	f(0, 0, time.Now().Add(time.Hour))
	f(20, 99, time.Now().Add(time.Hour))
}

// BenchmarkSenderID is what a record without an id of its own costs.
func BenchmarkSenderID(b *testing.B) {
	r := eventlog.Record{}
	for _, key := range []string{"ce_specversion", "content-type", "ce_id", "ce_type", "ce_source", "ce_time", "traceparent"} {
		r.Headers = append(r.Headers, schemas.Header{Key: key, Value: []byte("value")})
	}
	for b.Loop() {
		if _, own := r.SenderID(); own {
			b.Fatal("it is not marked")
		}
	}
}
