package eventlog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

const tank = `{"type":"record","name":"TankFilled","namespace":"com.example","fields":[{"name":"tank","type":"string"},{"name":"litres","type":"double"}]}`

// register registers a schema at the cluster's registry, as an outsider does.
func register(t testing.TB, url, subject, schema string, kind sr.SchemaType) int {
	t.Helper()
	client, err := sr.NewClient(sr.URLs(url))
	if err != nil {
		t.Fatal(err)
	}
	registered, err := client.CreateSchema(t.Context(), subject, sr.Schema{Schema: schema, Type: kind})
	if err != nil {
		t.Fatal(err)
	}
	return registered.ID
}

// add appends one event and returns the error of either step.
func add(t testing.TB, log *eventlog.Log, e eventlog.JSONEvent) error {
	t.Helper()
	e.Topic = eventlog.TopicEvents
	batch := log.NewBatch()
	defer batch.Release()
	batch.SetAttributes([]schemas.Label{{Name: "colour", Value: "red"}})
	if err := batch.AddJSON(t.Context(), &e); err != nil {
		if batch.Len() != 0 {
			t.Errorf("a refused event is in the batch")
		}
		return err
	}
	return batch.Commit(t.Context())[0].Err
}

func events(t testing.TB, log *eventlog.Log) []*eventlog.Line {
	t.Helper()
	var all []*eventlog.Line
	for record, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicEvents}) {
		if err != nil {
			t.Fatal(err)
		}
		line, err := log.Line(t.Context(), record, true)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

func TestAnEventOfAnybodysKind(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	const subject = "com.example.TankFilled"
	now := time.Now()
	later := func(d time.Duration) { now = now.Add(d); log.SetSubjectsClock(func() time.Time { return now }) }
	later(0)
	e := eventlog.JSONEvent{
		Key: "north", Subject: subject, ID: "7", Source: "/tanks", Time: time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC), Data: []byte(`{"tank":"a","litres":7}`),
	}
	if err := add(t, log, e); !errors.Is(err, eventlog.ErrNotRegistered) || !strings.Contains(err.Error(), subject) {
		t.Errorf("before it is registered: got %v", err)
	}
	id := register(t, cluster.Config().Registry, subject, tank, sr.TypeAvro)
	if err := add(t, log, e); !errors.Is(err, eventlog.ErrNotRegistered) {
		t.Errorf("got %v, want what the registry said a moment ago", err)
	}
	later(time.Second)
	if err := add(t, log, e); err != nil {
		t.Fatal(err)
	}
	got := events(t, log)
	if len(got) != 1 {
		t.Fatalf("got %d events", len(got))
	}
	want := map[string]string{
		"ce_specversion": "1.0", "content-type": "application/avro", "ce_id": "7", "ce_type": subject, "ce_source": "/tanks",
		"ce_time": "2026-11-24T04:00:00Z", "ce_colour": "red", "fieldlog-retryable": "1",
	}
	if l := got[0]; l.Key != "north" || l.SchemaID != id || string(l.Event) != `{"tank":"a","litres":7}` || fmt.Sprint(l.Headers) != fmt.Sprint(want) {
		t.Errorf("got %+v", l)
	}

	e.Data = []byte(`{"tank":"a","litres":7,"colour":"red"}`)
	var wrong *eventlog.Misfit
	if err := add(t, log, e); !errors.As(err, &wrong) || wrong.Field != "colour" {
		t.Errorf("got %v, want the field that is unknown", err)
	}
	second := register(t, cluster.Config().Registry, subject, strings.Replace(tank, "]}", `,{"name":"colour","type":"string","default":""}]}`, 1), sr.TypeAvro)
	later(time.Second) // a misfit asks again
	if err := add(t, log, e); err != nil {
		t.Fatal(err)
	}
	e.Version = eventlog.Version{ID: id}
	if err := add(t, log, e); !errors.As(err, &wrong) {
		t.Errorf("the first schema by its id: got %v, want a misfit", err)
	}
	e.Version = eventlog.Version{Number: 2}
	if err := add(t, log, e); err != nil {
		t.Errorf("the second version: got %v", err)
	}
	if got = events(t, log); len(got) != 3 || got[2].SchemaID != second {
		t.Errorf("got %d events, want 3", len(got))
	}
	for _, v := range []eventlog.Version{{ID: 4711}, {Number: 3}} {
		if err := log.HasVersion(t.Context(), subject, v); !errors.Is(err, eventlog.ErrNotRegistered) {
			t.Errorf("%+v: got %v", v, err)
		}
	}
	if err := log.HasVersion(t.Context(), "com.example.Other", eventlog.Version{ID: id}); !errors.Is(err, eventlog.ErrNotRegistered) {
		t.Errorf("the schema of another subject: got %v", err)
	}
	e.Version, e.Data = eventlog.Version{}, []byte(`{"tank":"`+strings.Repeat("a", 1_000_000)+`","litres":7}`)
	if err := add(t, log, e); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("a million bytes: got %v", err)
	}
}

func TestSchemasThatAreOfNoUse(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	f := func(subject, schema string, kind sr.SchemaType, want string) {
		t.Helper()
		register(t, cluster.Config().Registry, subject, schema, kind)
		err := add(t, log, eventlog.JSONEvent{Subject: schemas.Subject(subject), Data: []byte(`{}`)})
		if !errors.Is(err, eventlog.ErrNotRegistered) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", subject, err, want)
		}
	}
	f("com.example.Json", `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object"}`, sr.TypeJSON, "not as Avro")
	f("com.example.Text", `{"type":"enum","name":"Text","namespace":"com.example","symbols":["A"]}`, sr.TypeAvro, "not a record")
	f("com.example.Odd", tank, sr.TypeAvro, `describes "com.example.TankFilled"`)
}

// TestWhatIsRegisteredFlowsOnWithoutTheRegistry takes the registry away and lets time pass.
func TestWhatIsRegisteredFlowsOnWithoutTheRegistry(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	log := cluster.Open(t, cluster.Config())
	register(t, cluster.Config().Registry, "com.example.TankFilled", tank, sr.TypeAvro)
	e := eventlog.JSONEvent{Subject: "com.example.TankFilled", Data: []byte(`{"tank":"a","litres":7}`)}
	if err := add(t, log, e); err != nil {
		t.Fatal(err)
	}
	cluster.Registry.Close()
	for _, later := range []time.Duration{0, time.Minute, 24 * time.Hour} {
		log.SetSubjectsClock(func() time.Time { return time.Now().Add(later) })
		if err := add(t, log, e); err != nil {
			t.Errorf("after %s: got %v", later, err)
		}
	}
	e.Subject = "com.example.New"
	if err := add(t, log, e); err == nil || errors.Is(err, eventlog.ErrNotRegistered) {
		t.Errorf("a subject that nobody asked for before: got %v, want that the registry does not answer", err)
	}
}
