package story

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// timed is a context whose deadline comes when the test says so.
type timed struct{ context.Context }

// Err implements context.Context.
func (c timed) Err() error {
	if c.Context.Err() != nil {
		return context.DeadlineExceeded
	}
	return nil
}

// TestTellInTime lets the time be up when the second topic is about to be read: what the first had is told, and that it is not all.
func TestTellInTime(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	cluster := eventlogtest.StartFake(t)
	log := cluster.Open(t, cluster.Config())
	for _, id := range []string{"a", "b"} {
		placed := &schemas.OrderPlaced{
			Envelope: schemas.Envelope{EventID: id, EventTime: 1, ReceivedTime: schemas.TimeOf(time.Now()), TraceID: trace, Origin: "test"},
			OrderID:  id, Client: "plant", ExpectedVersion: schemas.AnyVersion,
			Terms: schemas.Terms{Namespace: "n", Environment: "prod", Archtype: "Edge", Hardware: "Shared", Product: "Product-A"},
		}
		if _, err := log.Append(t.Context(), placed); err != nil {
			t.Fatal(err)
		}
	}
	until, up := context.WithCancel(t.Context())
	cluster.Kafka.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.Kafka.KeepControl()
		for _, asked := range r.(*kmsg.ListOffsetsRequest).Topics {
			if asked.Topic == cluster.Name(string(eventlog.TopicClients)) {
				up()
			}
		}
		return nil, nil, false
	})
	told, err := New(log, nil).Tell(timed{until}, trace, time.Time{})
	if err != nil {
		t.Fatalf("got %v, want what was found", err)
	}
	if len(told.Chapters) != 2 || len(told.Notes) != 1 || !strings.Contains(told.Notes[0], "at topic clients") {
		t.Errorf("got %d chapters and notes %q, want 2 and one that names the topic", len(told.Chapters), told.Notes)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := New(log, nil).Tell(gone, trace, time.Time{}); err == nil {
		t.Error("got no error for a reader who left")
	}
}
