package eventlog_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// places is a log whose telemetry has one partition with some records.
type places struct {
	*eventlog.Log
	cluster *eventlogtest.Cluster
}

func newPlaces(t *testing.T, records int) places {
	t.Helper()
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	p := places{Log: cluster.Open(t, cfg), cluster: cluster}
	p.fill(t, records)
	return p
}

func (p places) fill(t *testing.T, records int) {
	t.Helper()
	for n := range records {
		if _, err := p.Append(t.Context(), &schemas.TelemetryReported{Envelope: schemas.Envelope{EventID: fmt.Sprint(n)}, Client: "c", Device: "d"}); err != nil {
			t.Fatal(err)
		}
	}
}

func (p places) ack(t *testing.T, offset eventlog.Offset, back bool) error {
	t.Helper()
	return p.Acknowledge(t.Context(), "http.g", eventlog.TopicTelemetry, map[eventlog.Partition]eventlog.Offset{0: offset}, back)
}

// next returns where the group goes on, -1 where it never was.
func (p places) next(t *testing.T) eventlog.Offset {
	t.Helper()
	at, err := p.Resume(t.Context(), "http.g", eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	if next, known := at[0]; known {
		return next
	}
	return -1
}

func TestAnAcknowledgementIsKept(t *testing.T) {
	p := newPlaces(t, 10)
	f := func(offset eventlog.Offset, back bool, wantErr error, next eventlog.Offset) {
		t.Helper()
		err := p.ack(t, offset, back)
		if wantErr == nil && err != nil || !errors.Is(err, wantErr) {
			t.Errorf("acknowledge %d: got %v, want %v", offset, err, wantErr)
		}
		if got := p.next(t); got != next {
			t.Errorf("after %d it goes on at %d, want %d", offset, got, next)
		}
	}
	f(10, false, eventlog.ErrNotWritten, -1)
	f(3, false, nil, 4)
	f(3, false, nil, 4) // again is no step backwards
	f(7, false, nil, 8)
	var behind *eventlog.Backwards
	if err := p.ack(t, 6, false); !errors.As(err, &behind) || behind.Next != 8 || p.next(t) != 8 {
		t.Errorf("backwards: got %v, goes on at %d", err, p.next(t))
	}
	f(1, true, nil, 2)
	f(-1, true, nil, 0)
	f(9, false, nil, 10)
	if err := p.Acknowledge(t.Context(), "http.g", eventlog.TopicTelemetry, map[eventlog.Partition]eventlog.Offset{0: 9, 1: 0}, false); !errors.Is(err, eventlog.ErrNoPartition) {
		t.Errorf("got %v, want that there is no partition 1", err)
	}
}

func TestStandingTellsTheLag(t *testing.T) {
	p := newPlaces(t, 10)
	f := func(next string, lag int64) {
		t.Helper()
		got, err := p.Standing(t.Context(), "http.g", eventlog.TopicTelemetry)
		if err != nil || len(got) != 1 {
			t.Fatalf("got %v %v", got, err)
		}
		is := "none"
		if got[0].Next != nil {
			is = fmt.Sprint(*got[0].Next)
		}
		if is != next || got[0].Lag != lag || got[0].Held != (eventlog.Range{First: 0, Next: 10}) {
			t.Errorf("got %+v with next %s, want %s and a lag of %d", got[0], is, next, lag)
		}
	}
	f("none", 10)
	if err := p.ack(t, 3, false); err != nil {
		t.Fatal(err)
	}
	f("4", 6)
	for range 2 { // forgetting twice is no error
		if err := p.Forget(t.Context(), "http.g", eventlog.TopicTelemetry); err != nil {
			t.Fatal(err)
		}
		f("none", 10)
	}
}

// TestARecreatedTopicStartsOver leaves the offset of a topic that was deleted and created again: it means another record now.
func TestARecreatedTopicStartsOver(t *testing.T) {
	p := newPlaces(t, 3)
	var old kadm.Offsets
	old.Add(kadm.Offset{Topic: p.cluster.Name("telemetry"), Partition: 0, At: 9, LeaderEpoch: -1, Metadata: "@00112233445566778899aabbccddeeff"})
	if err := p.cluster.Admin(t).CommitAllOffsets(t.Context(), p.cluster.Name("http.g"), old); err != nil {
		t.Fatal(err)
	}
	if next := p.next(t); next != 0 {
		t.Errorf("it goes on at %d, want the beginning", next)
	}
	if err := p.ack(t, 1, false); err != nil || p.next(t) != 2 {
		t.Errorf("got %v, goes on at %d", err, p.next(t))
	}
}
