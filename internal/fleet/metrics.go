package fleet

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/obs"
)

// The outcomes of a report.
const (
	outcomeAcknowledged = "acknowledged"
	outcomeRefused      = "refused"    // the gateway said why
	outcomeUnanswered   = "unanswered" // nobody knows
	outcomeMissed       = "missed"     // too late to be sent
	outcomeUnsent       = "unsent"     // the gateway did not take it before the end
)

// metrics are the package's metrics.
type metrics struct {
	reports  *prometheus.CounterVec
	readings prometheus.Counter
	retries  prometheus.Counter
	latency  prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	const namespace, subsystem = "fieldlog", "fleet"
	m := &metrics{
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem,
			Name: "reports_total", Help: "Reports of simulated devices, by outcome."}, []string{"outcome"}),
		readings: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem,
			Name: "acknowledged_readings_total", Help: "Readings in acknowledged reports."}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem,
			Name: "retries_total", Help: "Requests the gateway asked to send again later."}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem,
			Name: "latency_seconds", Help: "Time from when a report was due to its acknowledgement. History is left out.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 1.5, 32)}),
	}
	reg.MustRegister(m.reports, m.readings, m.retries, m.latency)
	return m
}

// unanswered counts reports whose fate is unknown.
func (f *Fleet) unanswered(reports int, err error) {
	f.metrics.reports.WithLabelValues(outcomeUnanswered).Add(float64(reports))
	f.logger.Warn("the gateway does not answer", "error", err, "reports", reports)
}

// Counts is what became of the reports so far.
type Counts struct {
	Acknowledged int64         `json:"acknowledged"`
	Refused      int64         `json:"refused"`
	Unanswered   int64         `json:"unanswered"`
	Missed       int64         `json:"missed"`
	Unsent       int64         `json:"unsent"`
	Readings     int64         `json:"acknowledged_readings"`
	Retries      int64         `json:"retries"`
	P50          time.Duration `json:"latency_p50_ns"`
	P99          time.Duration `json:"latency_p99_ns"`
}

// Counts returns what became of the reports so far.
func (f *Fleet) Counts() (Counts, error) {
	own := prometheus.NewRegistry()
	own.MustRegister(f.metrics.reports, f.metrics.readings, f.metrics.retries, f.metrics.latency)
	s, err := obs.Take(own)
	if err != nil {
		return Counts{}, err
	}
	reports := func(outcome string) int64 { return int64(s.Sum("fieldlog_fleet_reports_total", "outcome", outcome)) }
	c := Counts{
		Acknowledged: reports(outcomeAcknowledged), Refused: reports(outcomeRefused), Unanswered: reports(outcomeUnanswered),
		Missed: reports(outcomeMissed), Unsent: reports(outcomeUnsent),
		Readings: int64(s.Sum("fieldlog_fleet_acknowledged_readings_total")), Retries: int64(s.Sum("fieldlog_fleet_retries_total")),
	}
	if latency := s.Histogram("fieldlog_fleet_latency_seconds"); latency.Total > 0 {
		c.P50, c.P99 = seconds(latency.Quantile(0.5)), seconds(latency.Quantile(0.99))
	}
	return c, nil
}

func seconds(v float64) time.Duration { return time.Duration(v * float64(time.Second)) }
