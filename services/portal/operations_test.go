package portal

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// TestHowFarGroupsAreIsReadFromTheLog: one that processes, as the registrar does, keeps its progress in its state.
func TestHowFarGroupsAreIsReadFromTheLog(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	place := func(n int) {
		t.Helper()
		for i := range n {
			if _, err := log.Append(t.Context(), &schemas.OrderPlaced{OrderID: fmt.Sprint("o", i), Client: fmt.Sprint("c", i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := newStand(t, "")
	s.portal.sources.Log = log
	s.portal.sources.Readers = []Reader{{"registrar", eventlog.TopicOrders}, {"analytics", eventlog.TopicOrders}}
	s.on("GET /v1/orders", 200, `{"orders":[]}`)
	f := func(group, behind, note string) {
		t.Helper()
		want := fmt.Sprintf(`<td data-label="Group">%s</td><td data-label="Topic">orders</td><td data-label="Records behind" class="number">%s%s</td>`, group, behind, note)
		var text string
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline) && !strings.Contains(text, want); time.Sleep(20 * time.Millisecond) {
			text = s.send("GET", "/operations", nil).Body.String()
		}
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %s:\n%s", want, text)
		}
	}
	const unread = ` <span class="quiet">nothing read yet</span>`
	place(5)
	f("registrar", "5", unread)
	process, err := log.Process(eventlog.ProcessOptions{
		Group: "registrar", Inputs: []eventlog.Topic{eventlog.TopicOrders}, State: eventlog.TopicClientState,
		Open: func(eventlog.Partition) eventlog.Processor { return idle{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- process.Run(ctx) }()
	f("registrar", "0", "")
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	place(2)
	f("registrar", "2", "")
	f("analytics", "7", unread)
}

// idle is a Processor from whose inputs nothing follows.
type idle struct{}

func (idle) Restore(context.Context, *eventlog.Record) error                 { return nil }
func (idle) Next() map[eventlog.Topic]eventlog.Offset                        { return nil }
func (idle) Process(context.Context, *eventlog.Tx, []*eventlog.Record) error { return nil }
func (idle) Committed()                                                      {}
