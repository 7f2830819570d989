package analytics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/schemas"
)

// metrics are the package's metrics. Labels are closed lists: nothing grows with the data.
type metrics struct {
	rows        *prometheus.CounterVec
	inserts     *prometheus.CounterVec
	bytes       prometheus.Counter
	blocks      prometheus.Counter
	again       prometheus.Counter
	failures    *prometheus.CounterVec
	letters     *prometheus.CounterVec
	superfluous prometheus.Counter
	duplicates  prometheus.Counter
	retries     retryMetrics
	storeTime   prometheus.Histogram
	delay       prometheus.Histogram
	blockRows   prometheus.Histogram
	schemaReady prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		rows:        prometheus.NewCounterVec(counter("rows_total", "Rows stored. A block that is repeated counts again."), []string{"table"}),
		inserts:     prometheus.NewCounterVec(counter("inserts_total", "Inserts done."), []string{"table"}),
		bytes:       prometheus.NewCounter(counter("inserted_bytes_total", "Bytes sent to ClickHouse.")),
		blocks:      prometheus.NewCounter(counter("blocks_total", "Blocks stored.")),
		again:       prometheus.NewCounter(counter("blocks_again_total", "Blocks stored that an earlier owner had announced.")),
		failures:    prometheus.NewCounterVec(counter("failures_total", "Failed attempts to store a block, each retried, by class."), []string{"class"}),
		letters:     prometheus.NewCounterVec(counter("dead_letters_total", "Records that went to the dead letters, by reason."), []string{"reason"}),
		superfluous: prometheus.NewCounter(counter("redriven_superfluous_total", "Redriven records left out because an earlier copy is stored.")),
		duplicates:  prometheus.NewCounter(counter("duplicates_total", "Reports that were sent again and not stored a second time. A block that is repeated counts again.")),
		retries:     newRetryMetrics(reg),
		storeTime:   prometheus.NewHistogram(histogram("store_seconds", "Time to store a block, without retries.", prometheus.ExponentialBuckets(0.004, 2, 14))),
		delay:       prometheus.NewHistogram(histogram("delay_seconds", "From the gateway's receipt of a block's newest report until it can be queried.", prometheus.ExponentialBuckets(0.05, 2, 16))),
		blockRows:   prometheus.NewHistogram(histogram("block_rows", "Rows of a block.", prometheus.ExponentialBuckets(10, 4, 10))),
		schemaReady: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "analytics", Name: "schema_ready", Help: "1 once the tables are there."}),
	}
	reg.MustRegister(m.rows, m.inserts, m.bytes, m.blocks, m.again, m.failures, m.letters, m.superfluous, m.duplicates, m.storeTime, m.delay, m.blockRows, m.schemaReady)
	for _, class := range append(clickhouse.Classes(), classLog) {
		m.failures.WithLabelValues(string(class))
	}
	for _, reason := range schemas.Reasons() {
		m.letters.WithLabelValues(string(reason))
	}
	return m
}

// inserted counts an insert of so many bytes.
func (m *metrics) inserted(o *clickhouse.InsertOptions, bytes int) {
	m.bytes.Add(float64(bytes))
	m.inserts.WithLabelValues(o.Table).Inc()
	m.rows.WithLabelValues(o.Table).Add(float64(o.Rows))
}

// retryMetrics tell of the windows in which retries are recognised, over the partitions this process owns.
type retryMetrics struct {
	entries, bytes prometheus.Gauge
	shortened      prometheus.Counter
	rebuild        prometheus.Histogram
}

func newRetryMetrics(reg prometheus.Registerer) retryMetrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "fieldlog", Subsystem: "analytics", Name: name, Help: help})
	}
	m := retryMetrics{
		entries:   gauge("retry_entries", "Reports remembered to recognise retries."),
		bytes:     gauge("retry_bytes", "Memory of those."),
		shortened: prometheus.NewCounter(counter("retry_forgotten_total", "Reports forgotten within the window because it was full.")),
		rebuild:   prometheus.NewHistogram(histogram("retry_rebuild_seconds", "Time to read a partition's window again.", prometheus.ExponentialBuckets(0.004, 2, 14))),
	}
	reg.MustRegister(m.entries, m.bytes, m.shortened, m.rebuild)
	return m
}

func counter(name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: "fieldlog", Subsystem: "analytics", Name: name, Help: help}
}

func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Namespace: "fieldlog", Subsystem: "analytics", Name: name, Help: help, Buckets: buckets}
}
