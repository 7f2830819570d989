package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/obs"
)

func TestMomentSince(t *testing.T) {
	begun := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	before := moment{at: begun, received: 1000, stored: 500}
	now := moment{at: begun.Add(10 * time.Second), received: 16_000, stored: 15_500, refused: 3,
		delay: obs.Histogram{Bounds: []float64{0.5, 1, 2}, Counts: []uint64{0, 50, 100}, Total: 100}}
	got := now.since(before, 1234)
	for _, want := range []string{"readings in 1,500/s", "stored 1,500/s", "lag 1,234 records", "p50 1.0 s", "p99 2.0 s", "15,500 stored", "3 reports refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if first := before.since(before, 0); !strings.Contains(first, "in –/s") || !strings.Contains(first, "p50 –") {
		t.Errorf("got %q, want no rates before time has passed", first)
	}
}

func TestNumbersForPeople(t *testing.T) {
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(thousands(0), "0")
	f(thousands(999), "999")
	f(thousands(1000), "1,000")
	f(thousands(-1234567.8), "-1,234,568")
	f(duration(math.NaN()), "–")
	f(duration(0.0421), "42 ms")
	f(duration(1.26), "1.3 s")
}

func TestLiveLineStaysBelowTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		line := &liveLine{out: &screen, columns: 40}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- line.flow(ctx, prometheus.NewRegistry(), "readings_g1", func() int64 { return 7 }) }()
		synctest.Wait()
		if _, err := io.WriteString(line, "a warning\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(redraw)
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		got := screen.String()
		if !strings.Contains(got, "\r\x1b[Ka warning\nreadings in") || !strings.HasSuffix(got, "\n") {
			t.Errorf("got %q, want the line again below the warning, and the cursor below the line in the end", got)
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(got, "\r\x1b[K", "\n"), "\n") {
			if width(part) > 39 {
				t.Errorf("got %q, want less than the terminal's 40 columns", part)
			}
		}
		if strings.Count(got, "\r\x1b[K") < 3 {
			t.Errorf("got %q, want it to be redrawn", got)
		}
	})
}

func TestWelcome(t *testing.T) {
	usual := addresses{"./data", "http://127.0.0.1:8000", "http://127.0.0.1:8080", "127.0.0.1:9092", "http://127.0.0.1:8081", "http://127.0.0.1:8123"}
	f := func(columns int, a addresses, want, never string) {
		t.Helper()
		var out, log bytes.Buffer
		(&program{name: "bin/fieldlog", columns: columns}).welcome(a, true, slog.New(slog.NewJSONHandler(&log, nil)), &liveLine{out: &out, columns: columns})
		if got := out.String(); !strings.Contains(got, want) || never != "" && strings.Contains(got, never) {
			t.Errorf("got %s\nwant %q and not %q", got, want, never)
		}
		if !strings.Contains(log.String(), `"msg":"ready","gateway":"`+a.gateway+`","kafka":"`+a.kafka) {
			t.Errorf("got log %s", log.String())
		}
	}
	f(80, usual, "curl http://127.0.0.1:8080/v1/telemetry -d", "--brokers")
	f(80, usual, "bin/fieldlog query 'SELECT", "--clickhouse")
	moved := usual
	moved.kafka, moved.clickhouse = "127.0.0.1:19092", "http://127.0.0.1:18123"
	f(80, moved, "bin/fieldlog tail --brokers 127.0.0.1:19092", "")
	f(80, moved, "bin/fieldlog query --clickhouse http://127.0.0.1:18123", "")
	f(80, moved, "bin/fieldlog doctor --data ./data --brokers 127.0.0.1:19092 --clickhouse http://127.0.0.1:18123", "")
	f(0, moved, "", "curl")
	for address, want := range map[string]string{"[::]:8080": "127.0.0.1:8080", "0.0.0.0:80": "127.0.0.1:80", "10.0.0.3:80": "10.0.0.3:80"} {
		if got := reachable(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}
