package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/obs"
)

func TestLogger(t *testing.T) {
	f := func(level, format, want string) {
		t.Helper()
		var out bytes.Buffer
		logger, err := obs.NewLogger(&out, level, format)
		if err != nil {
			t.Fatal(err)
		}
		logger.Debug("seen closely")
		logger.Warn("seen", "topic", "telemetry")
		if got := out.String(); !strings.Contains(got, want) || strings.Count(got, "\n") != strings.Count(got, "seen") {
			t.Errorf("%s %s: got %q, want one line a record with %q", level, format, got, want)
		}
		if closely := strings.Contains(out.String(), "closely"); closely != (level == "debug") {
			t.Errorf("%s: got debug records %v", level, closely)
		}
	}
	f("info", "json", `"msg":"seen","topic":"telemetry"`)
	f("debug", "text", `msg=seen topic=telemetry`)
	for _, wrong := range [][2]string{{"loud", "json"}, {"info", "xml"}} {
		if _, err := obs.NewLogger(io.Discard, wrong[0], wrong[1]); err == nil || !strings.Contains(err.Error(), "--log-") {
			t.Errorf("%v: got error %v, want one that names the flag", wrong, err)
		}
	}
}

func TestMux(t *testing.T) {
	world := errors.New("no broker answers")
	check := obs.Check{Name: "log", Ready: func(context.Context) error { return world }}
	mux := obs.Mux(obs.NewRegistry(), check)
	f := func(path string, status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d %s, want %d with %q", path, w.Code, w.Body, status, want)
		}
	}
	f("/healthz", 200, `"OK"`)
	f("/readyz", 503, `"log":"no broker answers"`)
	world = nil
	f("/readyz", 200, `"OK"`)
	f("/metrics", 200, "fieldlog_build_info{")
	f("/metrics", 200, "go_goroutines")
}

func TestServe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- obs.Serve(ctx, listener, obs.Mux(obs.NewRegistry()), slog.New(slog.DiscardHandler)) }()
	res, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var body struct{ Status string }
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil || body.Status != "OK" {
		t.Errorf("got %+v, %v", body, err)
	}
	other, err := http.NewRequest(http.MethodGet, "http://"+listener.Addr().String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	other.Host = "evil.example"
	if res, err = http.DefaultClient.Do(other); err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("under a name that points here: got %d, want 421", res.StatusCode)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v, want a clean end", err)
	}
}

func TestSnapshot(t *testing.T) {
	reg := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "things_total"}, []string{"topic", "kind"})
	delay := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "delay", Buckets: []float64{1, 2, 4}}, []string{"topic"})
	reg.MustRegister(counter, delay)
	counter.WithLabelValues("a", "x").Add(1)
	counter.WithLabelValues("a", "y").Add(10)
	counter.WithLabelValues("b", "x").Add(100)
	for range 50 {
		delay.WithLabelValues("a").Observe(0.5)
		delay.WithLabelValues("b").Observe(1.5)
	}
	before, err := obs.Take(reg)
	if err != nil {
		t.Fatal(err)
	}
	f := func(got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	f(before.Sum("things_total"), 111)
	f(before.Sum("things_total", "topic", "a"), 11)
	f(before.Sum("things_total", "topic", "a", "kind", "y"), 10)
	f(before.Sum("absent_total"), 0)
	f(before.Histogram("delay").Quantile(0.5), 1)
	f(before.Histogram("delay").Quantile(0.75), 1.5)
	for range 10 {
		delay.WithLabelValues("a").Observe(3)
		delay.WithLabelValues("a").Observe(99)
	}
	after, err := obs.Take(reg)
	if err != nil {
		t.Fatal(err)
	}
	since := after.Histogram("delay").Since(before.Histogram("delay"))
	f(since.Quantile(0.25), 3)
	f(since.Quantile(0.99), 4)
	if got := after.Histogram("absent").Quantile(0.5); !math.IsNaN(got) {
		t.Errorf("got %v, want NaN when nothing was observed", got)
	}
}
