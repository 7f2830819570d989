package main

import (
	"encoding/json"
	"fmt"
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

// cluster is a log with some events, and the environment that points at it.
type cluster struct {
	*eventlogtest.Cluster
	log         *eventlog.Log
	environment map[string]string
}

func newCluster(t *testing.T) cluster {
	t.Helper()
	c := cluster{Cluster: eventlogtest.Start(t)}
	c.log = c.Open(t, c.Config())
	c.environment = map[string]string{
		"FIELDLOG_BROKERS": strings.Join(c.Config().Brokers, ","), "FIELDLOG_REGISTRY": c.Config().Registry, "FIELDLOG_PREFIX": c.Config().Prefix,
	}
	return c
}

func (c cluster) report(t *testing.T, client, device, id string) eventlog.Position {
	t.Helper()
	at, err := c.log.Append(t.Context(), &schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: id}, Client: client, Device: device,
		Readings: []schemas.Reading{{Metric: "count", Value: schemas.IntegerValue(9007199254740993)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// printed is a line of tail.
type printed struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       string
	Headers   map[string]string
	Subject   string
	SchemaID  int `json:"schema_id"`
	Reason    string
	Value     []byte
	Event     struct {
		EventID  string `json:"event_id"`
		Readings []struct {
			Metric string
			Value  json.RawMessage
		}
	}
}

func lines[L any](t *testing.T, text string) []L {
	t.Helper()
	var all []L
	for line := range strings.Lines(text) {
		var l L
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, l)
	}
	return all
}

func TestTail(t *testing.T) {
	c := newCluster(t)
	for i := range 3 {
		c.report(t, "cliente01", "pump-1", fmt.Sprintf("a-%d", i))
		c.report(t, "cliente01", "pump-2", fmt.Sprintf("b-%d", i))
		c.report(t, "cliente02", "pump-1", fmt.Sprintf("c-%d", i))
	}
	f := func(want int, args ...string) []printed {
		t.Helper()
		got := fieldlog(t, c.environment, "", append([]string{"tail"}, args...)...)
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("%q: got %+v", args, got)
		}
		all := lines[printed](t, got.stdout)
		if len(all) != want {
			t.Errorf("%q: got %d lines, want %d", args, len(all), want)
		}
		return all
	}
	f(9)
	f(9, "telemetry")
	f(9, c.Name("telemetry"), "--from", "start")
	f(9, "--from", "-1h")
	f(9, "--from", "2020-01-01")
	f(0, "--from", "end")
	f(0, "--from", "2100-01-01T00:00:00Z")
	f(0, "deadletters")
	f(6, "--client", "cliente01")
	f(6, "--device", "pump-1")
	f(0, "--client", "cliente0")
	f(2, "--limit", "2")
	one := f(3, "--client", "cliente02", "--device", "pump-1", "--headers")
	for i, l := range one {
		if l.Event.EventID != fmt.Sprintf("c-%d", i) || l.Key != "cliente02/pump-1" || l.Topic != "telemetry" ||
			l.Subject != "dev.fieldlog.TelemetryReported" || l.SchemaID == 0 || l.Headers["ce_id"] != l.Event.EventID || l.Timestamp.IsZero() {
			t.Errorf("got %+v, want c-%d with all that is known of it", l, i)
		}
		if string(l.Event.Readings[0].Value) != "9007199254740993" {
			t.Errorf("got value %s, want every bit of it", l.Event.Readings[0].Value)
		}
	}
	f(1, "--client", "cliente02", "--from", fmt.Sprint(one[2].Offset))
}

func TestTailFollows(t *testing.T) {
	c := newCluster(t)
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		for i := 0; t.Context().Err() == nil && i < 1000; i++ {
			if _, err := c.log.Append(t.Context(), &schemas.TelemetryReported{Envelope: schemas.Envelope{EventID: "new"}, Client: "c", Device: "d"}); err != nil {
				return
			}
			select {
			case <-t.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	got := fieldlog(t, c.environment, "", "tail", "--follow", "--limit", "3")
	if got.code != 0 || len(lines[printed](t, got.stdout)) != 3 {
		t.Errorf("got %+v, want three events that were appended meanwhile", got)
	}
}

func TestTailShowsWhatIsNotOurs(t *testing.T) {
	c := newCluster(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Config().Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.ProduceSync(t.Context(), &kgo.Record{Topic: c.Name("telemetry"), Key: []byte("x/y"), Value: []byte("hello")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	got := lines[printed](t, fieldlog(t, c.environment, "", "tail").stdout)
	if len(got) != 1 || got[0].Reason != "not_ours" || string(got[0].Value) != "hello" || got[0].Key != "x/y" {
		t.Errorf("got %+v, want the bytes and the reason", got)
	}
}

func TestAppendGivesWhatTailTook(t *testing.T) {
	c := newCluster(t)
	c.report(t, "cliente01", "pump-1", "original")
	var taken struct{ Event json.RawMessage }
	if err := json.Unmarshal([]byte(fieldlog(t, c.environment, "", "tail").stdout), &taken); err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(taken.Event), "original", "copy", 1)
	got := fieldlog(t, c.environment, text+"\n\n"+text+"\n", "append", "telemetry.reported")
	if got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	if at := lines[appended](t, got.stdout); len(at) != 2 || at[0].Topic != "telemetry" || at[1].Offset != at[0].Offset+1 {
		t.Errorf("got positions %+v", at)
	}
	if all := lines[printed](t, fieldlog(t, c.environment, "", "tail").stdout); len(all) != 3 || all[2].Event.EventID != "copy" {
		t.Errorf("got %+v after the append", all)
	}

	f := func(line, want string) {
		t.Helper()
		got := fieldlog(t, c.environment, text+"\n"+line+"\n", "append", "dev.fieldlog.TelemetryReported")
		if got.code != exitFailure || !strings.Contains(got.stderr, "line 2") || !strings.Contains(got.stderr, want) {
			t.Errorf("%q: got %+v, want a failure that tells line 2 and %q", line, got, want)
		}
		if len(lines[appended](t, got.stdout)) != 1 {
			t.Errorf("%q: got %q, want the position of line 1", line, got.stdout)
		}
	}
	f(`{`, "")
	f(`{"event_id":"x"}`, "")
	f(strings.Replace(text, `"client":`, `"klient":1,"client":`, 1), "klient")
	f(strings.Replace(text, `"client"`, `"klient"`, 1), "\"client\": is missing")
}

func TestTopics(t *testing.T) {
	c := newCluster(t)
	at := c.report(t, "cliente01", "pump-1", "one")
	got := fieldlog(t, c.environment, "", "topics")
	for _, want := range []string{c.Name("telemetry"), c.Name("deadletters"), "12", "retention.ms="} {
		if got.code != 0 || !strings.Contains(got.stdout, want) {
			t.Errorf("got %+v, want %q in it", got, want)
		}
	}
	all := lines[topicLine](t, fieldlog(t, c.environment, "", "topics", "--json").stdout)
	if len(all) != len(eventlog.Topics()) || !all[0].Exists || len(all[0].Partitions) != 12 || all[0].ID == "" {
		t.Fatalf("got %+v", all)
	}
	for i, p := range all[0].Partitions {
		want := partitionLine{Partition: eventlog.Partition(i)}
		if p.Partition == at.Partition {
			want.Next = 1
		}
		if p != want {
			t.Errorf("got partition %+v, want %+v", p, want)
		}
	}
	got = fieldlog(t, c.environment, "", "topics", "--prefix", "other.")
	if got.code != 0 || strings.Count(got.stdout, "missing") != len(eventlog.Topics()) {
		t.Errorf("got %+v, want every topic of another prefix to be missing", got)
	}
}

func TestSchemas(t *testing.T) {
	c := newCluster(t)
	got := lines[subjectLine](t, fieldlog(t, c.environment, "", "schemas", "--json").stdout)
	if len(got) != len(schemas.Kinds()) || got[0].Subject != "dev.fieldlog.TelemetryReported" || len(got[0].Versions) != got[0].Ours || got[0].Versions[0].ID == 0 {
		t.Errorf("got %+v", got)
	}
	if table := fieldlog(t, c.environment, "", "schemas"); !strings.Contains(table.stdout, "telemetry.reported") || table.code != 0 {
		t.Errorf("got %+v", table)
	}
	shown := fieldlog(t, c.environment, "", "schemas", "show", "telemetry.reported")
	if !json.Valid([]byte(shown.stdout)) || !strings.Contains(shown.stdout, `"TelemetryReported"`) {
		t.Errorf("got %+v, want a schema", shown)
	}
	if missing := fieldlog(t, c.environment, "", "schemas", "show", "dev.other.Thing"); missing.code != exitFailure || !strings.Contains(missing.stderr, "neither") {
		t.Errorf("got %+v for a subject nobody knows", missing)
	}
	if catalogue := fieldlog(t, nil, "", "schemas", "catalogue"); !strings.Contains(catalogue.stdout, "| `value` | double or long or boolean or string |") {
		t.Errorf("got %+v, want the fields of readings", catalogue)
	}
}

// TestSchemasCheck stands in for a registry, because the one in memory finds everything compatible.
func TestSchemasCheck(t *testing.T) {
	f := func(answer string, code int, want string) {
		t.Helper()
		mux := http.NewServeMux()
		mux.HandleFunc("GET /subjects/{subject}/versions", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "[1,2]") })
		mux.HandleFunc("POST /compatibility/subjects/{subject}/versions/{version}", func(w http.ResponseWriter, r *http.Request) {
			if r.PathValue("version") == "1" {
				fmt.Fprint(w, `{"is_compatible":true}`)
				return
			}
			fmt.Fprint(w, answer)
		})
		server := httptest.NewServer(mux)
		defer server.Close()
		got := fieldlog(t, nil, "", "schemas", "check", "--registry", server.URL)
		if got.code != code || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("%s: got %+v, want code %d and %q", answer, got, code, want)
		}
	}
	f(`{"is_compatible":true}`, exitOK, "✓ dev.fieldlog.TelemetryReported")
	f(`{"is_compatible":false,"messages":["a field has gone"]}`, exitFailure, "✗ dev.fieldlog.DeadLetter: not compatible with registered version 2: a field has gone")
	f(`{}`, exitFailure, "no is_compatible")
	f(`<html>`, exitFailure, "invalid character")
}
