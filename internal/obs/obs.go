// Package obs is how Fieldlog is observed: a structured logger, a metrics registry, and the HTTP handlers that show health,
// readiness and metrics.
//
// Promises:
//
//   - [NewLogger] writes one line a record, JSON or text, and never more than one Write a line.
//   - /healthz answers 200 as long as the process serves at all; /readyz 200 when every check passes, else 503 with
//     the failed checks by name. A check is given two seconds.
//   - /metrics is the Prometheus text format or OpenMetrics, as the scraper asks.
//   - A [Snapshot] is the registry as a program reads it: sums over labels, quantiles of histograms.
package obs

import (
	"context"
	"encoding/json"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry that already has the metrics of the Go runtime, the process and the build.
func NewRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "fieldlog", Name: "build_info", Help: "Always 1; the labels tell what runs.",
	}, []string{"version", "go"})
	if info, ok := debug.ReadBuildInfo(); ok {
		build.WithLabelValues(info.Main.Version, info.GoVersion).Set(1)
	}
	reg.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Check is one condition of readiness.
type Check struct {
	Name string
	// Ready returns nil when the condition holds, and soon: its ctx ends after two seconds.
	Ready func(ctx context.Context) error
}

const checkTime = 2 * time.Second

// Mux returns the handlers of a process that has no HTTP of its own: /healthz, /readyz, /metrics.
func Mux(reg *prometheus.Registry, checks ...Check) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{Registry: reg, EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		failed := failures(r.Context(), checks)
		if len(failed) > 0 {
			answer(w, http.StatusServiceUnavailable, failed)
			return
		}
		answer(w, http.StatusOK, nil)
	})
	return mux
}

func failures(ctx context.Context, checks []Check) map[string]string {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	failed := map[string]string{}
	for _, check := range checks {
		if err := check.Ready(ctx); err != nil {
			failed[check.Name] = err.Error()
		}
	}
	return failed
}

func answer(w http.ResponseWriter, status int, failed map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(struct { // the client may be gone, and then there is nobody to tell
		Status string            `json:"status"`
		Failed map[string]string `json:"failed,omitempty"`
	}{http.StatusText(status), failed})
}
