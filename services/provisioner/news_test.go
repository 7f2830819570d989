package provisioner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// nowhere is a backend that is never asked.
type nowhere struct{}

func (nowhere) Name() string                                              { return "nowhere" }
func (nowhere) Plan(backend.Order) []string                               { return []string{"one"} }
func (nowhere) Do(context.Context, backend.Order, string) error           { return errors.New("nowhere") }
func (nowhere) Done(context.Context, backend.Order, string) (bool, error) { return false, nil }
func (nowhere) Remove(context.Context, backend.Order) error               { return errors.New("nowhere") }

// accept appends that an order of client c was accepted, and returns the record.
func accept(t *testing.T, log *eventlog.Log, place int64) *eventlog.Record {
	t.Helper()
	e := &schemas.OrderAccepted{OrderID: fmt.Sprint("o", place), Client: "c", Version: 1}
	e.EventID, e.Cause, e.CauseOffset = fmt.Sprint("fact-", place), fmt.Sprint("input-", place), place
	at, err := log.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range log.Read(t.Context(), eventlog.ReadOptions{
		Topic: at.Topic, Partitions: []eventlog.Partition{at.Partition}, Starts: map[eventlog.Partition]eventlog.Offset{at.Partition: at.Offset},
	}) {
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Fatalf("%s is not in the log", at)
	return nil
}

// serviceWithAnOrder returns a service that does not run, and the fact that order o0 of client c was accepted.
func serviceWithAnOrder(t *testing.T) (*Service, *eventlog.Record) {
	t.Helper()
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	s, err := New(Config{Backends: []backend.Backend{nowhere{}}}, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s, accept(t, log, 0)
}

func takeOver(t *testing.T, s *Service, p eventlog.Partition) *owner {
	t.Helper()
	o := newOwner(s, p)
	if err := o.takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestAnOwnerThatWaitsHoldsUpNobodyAndMissesNothing passes more news to an owner than it has room for, before it takes any.
func TestAnOwnerThatWaitsHoldsUpNobodyAndMissesNothing(t *testing.T) {
	s, first := serviceWithAnOrder(t)
	o := takeOver(t, s, first.Partition)
	defer o.close()
	c := &crowd{owners: map[eventlog.Partition]*newsQueue{}}
	other := newNewsQueue()
	c.tell(first.Partition, o.news)
	c.tell(first.Partition+1, other)

	told := int64(1)
	news := func(n int, missed bool) {
		t.Helper()
		for range n {
			c.pass(accept(t, s.log, told))
			told++
		}
		if o.news.missed != missed || len(o.news.news) > maxNews {
			t.Errorf("of %d news the queue holds %d and misses some: %v, want %v", n, len(o.news.news), o.news.missed, missed)
		}
	}
	hears := func() {
		t.Helper()
		<-o.news.ready
		if err := o.listen(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(o.state.Queue("c")); int64(got) != told {
			t.Errorf("the owner knows %d orders of %d", got, told)
		}
	}
	news(maxNews, false)
	hears()
	news(maxNews+1, true)
	c.pass(accept(t, s.log, told)) // after what was missed: heard first, it would hide that
	told++
	c.pass(&eventlog.Record{Position: eventlog.Position{Partition: first.Partition + 1}})
	if len(other.news) != 1 {
		t.Error("another owner is told nothing")
	}
	hears()
	news(1, false)
	hears()
}
