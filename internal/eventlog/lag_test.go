package eventlog_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// TestTheLagIsTrue has a sink that stores nothing for a while: the lag follows the end of the log although nothing more is polled,
// and is 0 once all is stored although nothing more is appended.
func TestTheLagIsTrue(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	registry := prometheus.NewRegistry()
	log, err := eventlog.New(cfg, slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := newStore()
	s.setFault(func(eventlog.Block) error { return errors.New("not now") })
	stop := runBlocks(t, log, s, eventlog.BlockOptions{MaxRecords: 10, MaxAge: 10 * time.Millisecond})
	defer stop()
	for n := 1; n <= 10; n++ { // more than the inbox holds
		appendReports(t, log, 100*(n-1), 100)
		waitForLag(t, registry, float64(100*n))
	}
	s.setFault(nil)
	s.wait(t, 1000)
	waitForLag(t, registry, 0)
}

func waitForLag(t *testing.T, registry *prometheus.Registry, want float64) {
	t.Helper()
	var got float64
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got = sums(t, registry)["lag_records"]; got == want {
			return
		}
	}
	t.Fatalf("the lag is %v, want %v", got, want)
}
