package auditor

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the package's metrics. Labels are closed lists: nothing grows with the data.
type metrics struct {
	runs        *prometheus.CounterVec
	differences *prometheus.CounterVec
	records     prometheus.Counter
	unclaimed   prometheus.Gauge
	pending     prometheus.Gauge
	seconds     prometheus.Histogram
	success     prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "fieldlog", Subsystem: "audit", Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "audit", Name: name, Help: help})
	}
	m := &metrics{
		runs:        prometheus.NewCounterVec(counter("runs_total", "Audits, by outcome: equal, different, failed."), []string{"outcome"}),
		differences: prometheus.NewCounterVec(counter("differences_total", "Ranges in which two accounts differ, by kind. What two audits look at counts twice."), []string{"kind"}),
		records:     prometheus.NewCounter(counter("records_total", "Records of the log that were compared.")),
		unclaimed:   gauge("unclaimed_records", "Records of the last audit's window that are in the log and in no receipt."),
		pending:     gauge("pending_records", "Records of the last audit's window that are not stored yet."),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "fieldlog", Subsystem: "audit", Name: "seconds", Help: "Time of an audit.", Buckets: prometheus.ExponentialBuckets(0.01, 4, 9),
		}),
		success: gauge("last_success_timestamp_seconds", "End of the window of the last audit that found no difference."),
	}
	reg.MustRegister(m.runs, m.differences, m.records, m.unclaimed, m.pending, m.seconds, m.success)
	for _, outcome := range []string{"equal", "different", "failed"} {
		m.runs.WithLabelValues(outcome)
	}
	for _, kind := range Kinds() {
		m.differences.WithLabelValues(string(kind))
	}
	return m
}

// count counts an audit that came to an end.
func (m *metrics) count(r *Result) {
	m.unclaimed.Set(float64(r.total(func(row *Row) int64 { return row.Unclaimed })))
	m.pending.Set(float64(r.total(func(row *Row) int64 { return row.Pending })))
	for _, d := range r.Differences {
		m.differences.WithLabelValues(string(d.Kind)).Inc()
	}
	if r.Differs() {
		m.runs.WithLabelValues("different").Inc()
		return
	}
	m.runs.WithLabelValues("equal").Inc()
	until := r.Window.To
	if until.IsZero() {
		until = r.Began
	}
	m.success.Set(float64(until.UnixMicro()) / 1e6)
}
