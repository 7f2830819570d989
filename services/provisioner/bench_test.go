package provisioner_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// instant is a backend that does everything at once and remembers nothing. What was done last is told.
type instant struct{ done chan string }

func (instant) Name() string                { return "instant" }
func (instant) Plan(backend.Order) []string { return []string{"one", "two", "three"} }

func (i instant) Do(ctx context.Context, o backend.Order, step string) error {
	if step == "three" {
		select {
		case i.done <- o.ID:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (instant) Done(context.Context, backend.Order, string) (bool, error) { return false, nil }
func (instant) Remove(context.Context, backend.Order) error               { return nil }

// BenchmarkProvision measures, an order of a client of its own, what the provisioner adds to a backend that takes no time: a
// backlog of orders, of three steps each, and then a replay of their history by a group that knows nothing. The ceiling of the
// replay is to read and decode the same topics.
func BenchmarkProvision(b *testing.B) {
	for _, orders := range []int{1_000, 10_000} {
		b.Run(fmt.Sprintf("orders=%d", orders), func(b *testing.B) {
			var work, replay, read time.Duration
			for b.Loop() {
				cluster := eventlogtest.StartFake(b)
				log := cluster.Open(b, cluster.Config())
				accept(b, log, "a", orders)
				begin := time.Now()
				run(b, log, "first", orders)
				work += time.Since(begin)
				begin = time.Now()
				for _, topic := range eventlog.ProvisioningTopics() {
					decode(b, log, topic)
				}
				read += time.Since(begin)
				accept(b, log, "z", 1)
				begin = time.Now()
				run(b, log, "second", 1)
				replay += time.Since(begin)
			}
			n := float64(b.N) * float64(orders)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(work.Nanoseconds())/n, "ns/order")
			b.ReportMetric(float64(replay.Nanoseconds())/n, "replay-ns/order")
			b.ReportMetric(float64(read.Nanoseconds())/n, "read-ns/order")
		})
	}
}

func accept(b *testing.B, log *eventlog.Log, prefix string, orders int) {
	b.Helper()
	batch := log.NewBatch()
	for i := range orders {
		id := fmt.Sprint(prefix, i)
		e := &schemas.OrderAccepted{OrderID: id, Client: "client-" + id, Version: 1, Terms: schemas.Terms{Namespace: id, Product: "Product-A"}}
		e.EventID, e.TraceID, e.Cause, e.CauseOffset = "fact-"+id, trace, "input-"+id, int64(i)
		if err := batch.Add(e); err != nil {
			b.Fatal(err)
		}
	}
	defer batch.Release()
	for _, r := range batch.Commit(b.Context()) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

// run runs a provisioner of a group until it has finished so many orders.
func run(b *testing.B, log *eventlog.Log, group eventlog.Group, orders int) {
	b.Helper()
	i := instant{make(chan string, orders)}
	s, err := provisioner.New(provisioner.Config{Group: group, Backends: []backend.Backend{i}}, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	for range orders {
		<-i.done
	}
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}

func decode(b *testing.B, log *eventlog.Log, topic eventlog.Topic) {
	b.Helper()
	events := log.NewEvents()
	for r, err := range log.Read(b.Context(), eventlog.ReadOptions{Topic: topic}) {
		if err != nil {
			b.Fatal(err)
		}
		if _, err := events.Decode(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
