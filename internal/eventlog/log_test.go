package eventlog_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

func report(n int) *schemas.TelemetryReported {
	return &schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: fmt.Sprintf("event-%d", n), EventTime: 1_000_000, ReceivedTime: 2_000_000, Origin: "test"},
		Client:   "cliente02", Device: fmt.Sprintf("pump-%d", n%7),
		Labels: []schemas.Label{{Name: "site", Value: "north"}},
		Readings: []schemas.Reading{
			{Metric: "temperature", Time: 1_000_000, Value: schemas.DoubleValue(21.5), Unit: "C"},
			{Metric: "count", Time: 1_000_000, Value: schemas.IntegerValue(9007199254740993)},
			{Metric: "running", Time: 1_000_000, Value: schemas.BooleanValue(true)},
			{Metric: "state", Time: 1_000_000, Value: schemas.TextValue("ok")},
		},
	}
}

func TestAppendedEventsAreReadBack(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())

	const events = 100
	batch := log.NewBatch()
	batch.SetTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	for n := range events {
		if err := batch.Add(report(n)); err != nil {
			t.Fatalf("add: %v", err)
		}
	}
	want := map[eventlog.Position]string{}
	for n, result := range batch.Commit(t.Context()) {
		if result.Err != nil {
			t.Fatalf("commit: %v", result.Err)
		}
		want[result.Position] = fmt.Sprintf("event-%d", n)
	}
	batch.Release()
	if len(want) != events {
		t.Fatalf("got %d different positions, want %d", len(want), events)
	}

	decoder := eventlog.NewDecoder[schemas.TelemetryReported](log, schemas.KindTelemetryReported)
	var got schemas.TelemetryReported
	for record, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if err := decoder.Decode(t.Context(), record, &got); err != nil {
			t.Fatalf("decode %v: %v", record.Position, err)
		}
		if got.EventID != want[record.Position] {
			t.Errorf("at %v got event %q, want %q", record.Position, got.EventID, want[record.Position])
		}
		if id := record.Header("ce_id"); id != got.EventID {
			t.Errorf("ce_id is %q, want %q", id, got.EventID)
		}
		if trace := record.Header("traceparent"); !strings.Contains(trace, "4bf92f3577b34da6a3ce929d0e0e4736") {
			t.Errorf("traceparent is %q", trace)
		}
		if v := got.Readings[1].Value.Integer(); v != 9007199254740993 {
			t.Errorf("integer came back as %d", v)
		}
		if string(record.Key) != got.Client+"/"+got.Device {
			t.Errorf("key is %q", record.Key)
		}
		delete(want, record.Position)
	}
	if len(want) != 0 {
		t.Errorf("%d events were not read back", len(want))
	}
}

func TestSetupMayRunAgain(t *testing.T) {
	cluster := eventlogtest.Start(t)
	first := cluster.Open(t, cluster.Config())
	second := cluster.Open(t, cluster.Config())
	before, err := first.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after, err := second.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range before {
		if !before[i].Exists || before[i].ID != after[i].ID || before[i].ActualPartitions != before[i].Partitions {
			t.Errorf("topic %q: got %+v, then %+v", before[i].Name, before[i], after[i])
		}
	}
}

func TestAnEventFromJSONIsTheEvent(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	if _, err := log.Append(t.Context(), report(1)); err != nil {
		t.Fatal(err)
	}
	for record, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := log.JSON(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		event, err := log.EventFromJSON(schemas.KindTelemetryReported, text)
		if err != nil {
			t.Fatalf("read %s back: %v", text, err)
		}
		got, want := event.(*schemas.TelemetryReported), report(1)
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v\nJSON %s", got, want, text)
		}
	}
}
