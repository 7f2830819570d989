package registrar

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/schemas"
)

// metrics are the package's metrics. Labels are closed lists: nothing grows with the data.
type metrics struct {
	facts      *prometheus.CounterVec
	rejections *prometheus.CounterVec
	repeats    prometheus.Counter
	letters    *prometheus.CounterVec
	decision   prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "fieldlog", Subsystem: "registrar", Name: name, Help: help}
	}
	m := &metrics{
		facts:      prometheus.NewCounterVec(counter("facts_total", "Facts committed, by kind."), []string{"kind"}),
		rejections: prometheus.NewCounterVec(counter("rejections_total", "Inputs rejected, by reason."), []string{"reason"}),
		repeats:    prometheus.NewCounter(counter("repeats_total", "Inputs that had been decided before, and changed nothing.")),
		letters:    prometheus.NewCounterVec(counter("dead_letters_total", "Records that went to the dead letters, by reason."), []string{"reason"}),
		decision: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "fieldlog", Subsystem: "registrar", Name: "decision_seconds",
			Help: "From an input's receipt until its decision is committed.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 14),
		}),
	}
	reg.MustRegister(m.facts, m.rejections, m.repeats, m.letters, m.decision)
	for _, reason := range schemas.RejectionReasons() {
		m.rejections.WithLabelValues(string(reason))
	}
	for _, reason := range schemas.Reasons() {
		m.letters.WithLabelValues(string(reason))
	}
	return m
}
