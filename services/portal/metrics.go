package portal

import "github.com/prometheus/client_golang/prometheus"

// metrics are the package's metrics. Labels are closed lists: pages are those of the routes.
type metrics struct {
	requests *prometheus.CounterVec
	logins   *prometheus.CounterVec
	streams  prometheus.Gauge
	sessions prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "fieldlog", Subsystem: "portal", Name: "requests_total", Help: "Requests answered, by page and status.",
		}, []string{"page", "code"}),
		logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "fieldlog", Subsystem: "portal", Name: "logins_total", Help: "Attempts to log in: ok, wrong, throttled, busy.",
		}, []string{"outcome"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "fieldlog", Subsystem: "portal", Name: "streams", Help: "Streams of updates that are open.",
		}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "fieldlog", Subsystem: "portal", Name: "sessions", Help: "Sessions that are open.",
		}),
	}
	reg.MustRegister(m.requests, m.logins, m.streams, m.sessions)
	for _, outcome := range []string{loginOK, loginWrong, loginThrottled, loginBusy} {
		m.logins.WithLabelValues(outcome)
	}
	return m
}
