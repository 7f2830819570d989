package provisioner

import "github.com/prometheus/client_golang/prometheus"

// metrics have labels from closed lists: the backends that are set up, and outcomes.
type metrics struct {
	acts     *prometheus.CounterVec
	took     *prometheus.HistogramVec
	facts    *prometheus.CounterVec
	open     prometheus.Gauge
	running  prometheus.Gauge
	broken   *prometheus.GaugeVec
	sessions prometheus.Counter
	lost     prometheus.Counter
}

// The outcomes of an act.
const (
	outcomeDone    = "done"
	outcomeFound   = "found" // it had happened before
	outcomeFailed  = "failed"
	outcomeRefused = "refused"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	name := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "fieldlog", Subsystem: "provisioner", Name: name, Help: help}
	}
	m := &metrics{
		acts: prometheus.NewCounterVec(prometheus.CounterOpts(name("acts_total", "Tries of a step, by backend and outcome.")), []string{"backend", "outcome"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "fieldlog", Subsystem: "provisioner", Name: "act_duration_seconds", Help: "How long a try of a step took.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 16),
		}, []string{"backend"}),
		facts:    prometheus.NewCounterVec(prometheus.CounterOpts(name("facts_total", "Facts told, by state.")), []string{"state"}),
		open:     prometheus.NewGauge(prometheus.GaugeOpts(name("open_orders", "Orders with something to do, over the partitions this process owns."))),
		running:  prometheus.NewGauge(prometheus.GaugeOpts(name("running_acts", "Acts under way."))),
		broken:   prometheus.NewGaugeVec(prometheus.GaugeOpts(name("backend_broken", "1 while a backend is left alone because it failed too often.")), []string{"backend"}),
		sessions: prometheus.NewCounter(prometheus.CounterOpts(name("sessions_lost_total", "Times that everything was begun anew because the log was away."))),
		lost:     prometheus.NewCounter(prometheus.CounterOpts(name("partitions_lost_total", "Times that a partition was begun anew because something failed there."))),
	}
	if reg != nil {
		reg.MustRegister(m.acts, m.took, m.facts, m.open, m.running, m.broken, m.sessions, m.lost)
	}
	return m
}
