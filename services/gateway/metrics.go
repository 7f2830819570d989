package gateway

import "github.com/prometheus/client_golang/prometheus"

// metrics are counted per request, with labels from closed lists.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	accepted *prometheus.CounterVec
	refused  *prometheus.CounterVec
	readings *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	unknown  prometheus.Counter
	inFlight prometheus.Gauge
	readers  prometheus.Gauge
	read     *prometheus.CounterVec
	acks     *prometheus.CounterVec

	receiptsWritten prometheus.Counter
	receiptsFailed  prometheus.Counter
	receiptsDropped prometheus.Counter
	duplicates      *prometheus.CounterVec
	undecided       prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "fieldlog", Subsystem: "gateway", Name: name, Help: help}
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(opts("requests_total", "Requests answered, by way in and status."), []string{"origin", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "fieldlog", Subsystem: "gateway", Name: "request_duration_seconds", Help: "From a request's header to its answer.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 16),
		}, []string{"origin"}),
		accepted: prometheus.NewCounterVec(opts("reports_accepted_total", "Reports that the log has."), []string{"origin"}),
		refused:  prometheus.NewCounterVec(opts("reports_refused_total", "Reports or lines refused, by cause."), []string{"origin", "cause"}),
		readings: prometheus.NewCounterVec(opts("readings_accepted_total", "Readings that the log has."), []string{"origin"}),
		bytes:    prometheus.NewCounterVec(opts("body_bytes_total", "Bytes of bodies, unpacked."), []string{"origin"}),
		unknown:  prometheus.NewCounter(opts("unknown_fields_total", "Fields skipped because no one knows them.")),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "gateway", Name: "in_flight_requests", Help: "Requests with a body under way."}),

		duplicates: prometheus.NewCounterVec(opts("duplicates_total", "Reports answered as retries of one that the log has."), []string{"origin"}),
		undecided:  prometheus.NewCounter(opts("retries_undecided_total", "Reports with ids of their own answered before it was known whether they are retries.")),
	}
	m.receiptsWritten = prometheus.NewCounter(opts("receipts_written_total", "Receipts of what the log confirmed that were appended to it."))
	m.receiptsFailed = prometheus.NewCounter(opts("receipts_failures_total", "Failed attempts to append receipts, each retried."))
	m.receiptsDropped = prometheus.NewCounter(opts("receipts_dropped_records_total", "Records that are in no receipt, because receipts could not be appended for long."))
	m.readers = prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "gateway", Name: "readers", Help: "Requests that read a topic now."})
	m.read = prometheus.NewCounterVec(opts("records_read_total", "Records sent to readers."), []string{"topic"})
	m.acks = prometheus.NewCounterVec(opts("acknowledgements_total", "Acknowledgements of groups, by outcome: ok, conflict, refused, failed."), []string{"topic", "outcome"})
	if reg != nil {
		reg.MustRegister(m.readers, m.read, m.acks)
		reg.MustRegister(m.receiptsWritten, m.receiptsFailed, m.receiptsDropped)
		reg.MustRegister(m.requests, m.duration, m.accepted, m.refused, m.readings, m.bytes, m.unknown, m.inFlight, m.duplicates, m.undecided)
	}
	return m
}

// watch shows the memory of the retries.
func (m *metrics) watch(reg prometheus.Registerer, r *retries) {
	gauge := func(name, help string, value func(entries, bytes int) int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "gateway", Name: name, Help: help},
			func() float64 { return float64(value(r.size())) })
	}
	if reg != nil {
		reg.MustRegister(
			gauge("retry_entries", "Reports remembered to recognise retries.", func(entries, _ int) int { return entries }),
			gauge("retry_bytes", "Memory of those.", func(_, bytes int) int { return bytes }))
	}
}
