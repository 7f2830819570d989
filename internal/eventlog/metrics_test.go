package eventlog_test

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// sums returns the sum of every metric of the package over its labels.
func sums(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			all[strings.TrimPrefix(f.GetName(), "fieldlog_log_")] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

func TestEveryCounterCounts(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.MaxEventBytes = 2000
	registry := prometheus.NewRegistry()
	log, err := eventlog.New(cfg, slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	appendReports(t, log, 0, 50)
	big := report(0)
	big.Readings[3].Value = schemas.TextValue(strings.Repeat("x", 3000))
	if _, err := log.Append(t.Context(), big); !errors.Is(err, eventlog.ErrTooLarge) {
		t.Errorf("append a large event: got %v, want ErrTooLarge", err)
	}

	s := newStore()
	var failures atomic.Int64
	s.setFault(func(eventlog.Block) error {
		if failures.Add(1) < 3 {
			return errors.New("not now")
		}
		return nil
	})
	stop := runBlocks(t, log, s, small)
	s.wait(t, 50)
	stop()
	got := sums(t, registry)
	for name, least := range map[string]float64{"appended_events_total": 50, "appended_bytes_total": 50 * 100, "commits_total": 2, "blocks_total": 1, "store_retries_total": 2} {
		if got[name] < least {
			t.Errorf("%s is %v, want at least %v", name, got[name], least)
		}
	}
	if _, there := got["lag_records"]; !there {
		t.Error("there is no lag")
	}
}

// TestARepeatedBlockIsCounted gives a block up after its announcement, and lets the next member repeat it.
func TestARepeatedBlockIsCounted(t *testing.T) {
	cluster := eventlogtest.Start(t)
	registry := prometheus.NewRegistry()
	log, err := eventlog.New(cluster.Config(), slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	appendReports(t, log, 0, 20)
	s := newStore()
	reached := make(chan struct{}, 64)
	s.setFault(func(eventlog.Block) error {
		reached <- struct{}{}
		return errors.New("the process dies here")
	})
	options := small
	options.Drain = time.Nanosecond
	stop := runBlocks(t, log, s, options)
	<-reached
	stop()
	s.setFault(nil)
	stop = runBlocks(t, log, s, small)
	s.wait(t, 20)
	stop()
	if got := sums(t, registry)["blocks_repeated_total"]; got < 1 {
		t.Errorf("blocks_repeated_total is %v, want at least 1", got)
	}
}

// TestOverloadIsRefusedAtOnce holds the broker still, so that what waits reaches its bound.
func TestOverloadIsRefusedAtOnce(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	cfg := cluster.Config()
	cfg.MaxBufferedRecords, cfg.Confirm = 10, time.Second
	log := cluster.Open(t, cfg)
	cluster.Silence(t)
	batch := log.NewBatch()
	defer batch.Release()
	for n := range 30 {
		if err := batch.Add(report(n)); err != nil {
			t.Fatal(err)
		}
	}
	overloaded, unconfirmed := 0, 0
	for _, r := range batch.Commit(t.Context()) {
		switch {
		case errors.Is(r.Err, eventlog.ErrOverloaded):
			overloaded++
		case errors.Is(r.Err, eventlog.ErrUnconfirmed):
			unconfirmed++
		}
	}
	if overloaded != 20 || unconfirmed != 10 {
		t.Errorf("%d overloaded and %d unconfirmed, want 20 and 10", overloaded, unconfirmed)
	}
}
