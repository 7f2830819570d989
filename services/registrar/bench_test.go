package registrar

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/internal/products"
)

// BenchmarkRegistrar measures a backlog of orders, ten of each client, from the first fetch until the last decision is committed, an order. The
// ceiling is franz-go's own session of transactions, which copies each order to both topics that the registrar appends to.
func BenchmarkRegistrar(b *testing.B) {
	const orders = 50_000
	measure := func(name string, decide func(*testing.B, *eventlogtest.Fake, *eventlog.Log, int)) {
		b.Run(name, func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				cluster := eventlogtest.StartFake(b)
				log := cluster.Open(b, cluster.Config())
				backlog(b, log, orders)
				begin := time.Now()
				decide(b, cluster, log, orders)
				took += time.Since(begin)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N)/orders, "ns/order")
		})
	}
	measure("decide", decide)
	measure("copy", copyAll)
}

func backlog(b *testing.B, log *eventlog.Log, orders int) {
	b.Helper()
	batch := log.NewBatch()
	defer batch.Release()
	for i := range orders {
		client := fmt.Sprint("client-", i%(orders/10))
		if err := batch.Add(place(fmt.Sprint("e", i), client, fmt.Sprint("o", i), fmt.Sprint("n", i))); err != nil {
			b.Fatal(err)
		}
	}
	for _, r := range batch.Commit(b.Context()) {
		if r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

func decide(b *testing.B, _ *eventlogtest.Fake, log *eventlog.Log, orders int) {
	catalogue, err := products.Default()
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Config{Products: catalogue.Sold}, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	accepted := s.metrics.facts.WithLabelValues("order.accepted")
	for testutil.ToFloat64(accepted) < float64(orders) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func copyAll(b *testing.B, cluster *eventlogtest.Fake, _ *eventlog.Log, orders int) {
	session, err := kgo.NewGroupTransactSession(
		kgo.SeedBrokers(cluster.Config().Brokers...), kgo.ConsumerGroup("copy"), kgo.TransactionalID("copy"),
		kgo.ConsumeTopics(cluster.Name("orders")), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer session.Close()
	for copied := 0; copied < orders; {
		fetches := session.PollRecords(b.Context(), 500)
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		if err := session.Begin(); err != nil {
			b.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			for _, topic := range []string{"clients", "client-state"} {
				session.Produce(b.Context(), &kgo.Record{Topic: cluster.Name(topic), Key: r.Key, Value: r.Value, Headers: r.Headers}, nil)
			}
			copied++
		})
		if _, err := session.End(b.Context(), kgo.TryCommit); err != nil {
			b.Fatal(err)
		}
	}
}
