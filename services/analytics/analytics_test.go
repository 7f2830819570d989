package analytics

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

// start is 2026-11-24 04:00 UTC.
var start = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

// report returns the n-th report of a device: a double, an integer, a boolean and a text, seven seconds after the last.
// Values are small multiples of a half, whose sums are exact in any order.
func report(device, n int) *schemas.TelemetryReported {
	at := schemas.TimeOf(start.Add(time.Duration(n) * 7 * time.Second))
	reading := func(metric, unit string, v schemas.Value) schemas.Reading {
		return schemas.Reading{Metric: metric, Time: at, Unit: unit, Value: v}
	}
	return &schemas.TelemetryReported{
		Envelope: schemas.Envelope{
			EventID: fmt.Sprintf("e-%d-%d", device, n), EventTime: at, ReceivedTime: at + 1000, TraceID: "t", Origin: "http",
			Host: "h", Publisher: "p", EventType: "acme.app.report", Attempt: int32(n % 3),
		},
		Client: fmt.Sprintf("client-%d", device%3), Device: fmt.Sprintf("device-%d", device),
		Labels: []schemas.Label{{Name: "site", Value: fmt.Sprint(device)}, {Name: "line", Value: "a"}},
		Readings: []schemas.Reading{
			reading("temperature", "C", schemas.DoubleValue(float64((n*13+device)%41)/2-10)),
			reading("pulses", "", schemas.IntegerValue(int64(n*n+device))),
			reading("running", "", schemas.BooleanValue((n+device)%2 == 0)),
			reading("state", "", schemas.TextValue([]string{"ok", "warm", "hot"}[(n+device)%3])),
		},
	}
}

// bench is a log, a database and what a test needs to look at both.
type stand struct {
	log     *eventlog.Log
	ch      *clickhouse.Client
	cluster *eventlogtest.Fake
}

func newStand(t testing.TB) *stand {
	t.Helper()
	cluster := eventlogtest.StartFake(t) // whose registry can be told the id of a schema
	cfg := cluster.Config()
	cfg.Partitions = 3
	return &stand{cluster: cluster, log: cluster.Open(t, cfg), ch: clickhousetest.Open(t, clickhousetest.Config(t))}
}

func (s *stand) service(t testing.TB, cfg Config) *Service {
	t.Helper()
	if cfg.MaxAge == 0 {
		cfg.MaxAge = 50 * time.Millisecond
	}
	service, err := New(cfg, s.log, s.ch, quiet, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// run runs a service until the returned function is called, which returns when it has drained.
func run(t testing.TB, s *Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

func (s *stand) append(t testing.TB, devices, reports int) {
	t.Helper()
	batch := s.log.NewBatch()
	defer batch.Release()
	for n := range reports {
		for device := range devices {
			if err := batch.Add(report(device, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, result := range batch.Commit(t.Context()) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
}

// count returns the result of a query of one number.
func (s *stand) count(t testing.TB, query string) uint64 {
	t.Helper()
	var n uint64
	if err := s.ch.Scan(t.Context(), query, &n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// eventually waits until a query of one number returns what is wanted.
func (s *stand) eventually(t testing.TB, want uint64, query string) {
	t.Helper()
	var n uint64
	var err error
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if err = s.ch.Scan(t.Context(), query, &n); err == nil && n == want {
			return
		}
	}
	t.Fatalf("%s: got %d, want %d (last error: %v)", query, n, want, err)
}

func TestReportsBecomeRows(t *testing.T) {
	s := newStand(t)
	stop := run(t, s.service(t, Config{}))
	s.append(t, 10, 100)
	s.eventually(t, 4000, "SELECT count() FROM "+s.ch.Table("readings"))
	s.eventually(t, 1000, "SELECT count() FROM "+s.ch.Table("reports"))
	stop()
	if n := s.count(t, "SELECT uniqExact(partition, `offset`, `index`) FROM "+s.ch.Table("readings")); n != 4000 {
		t.Errorf("distinct readings: got %d, want 4000", n)
	}
	s.recompute(t)
}
