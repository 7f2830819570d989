package analytics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// value returns what a counter, a gauge or a histogram (its number of observations) has.
func value(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	switch {
	case out.Counter != nil:
		return out.Counter.GetValue()
	case out.Gauge != nil:
		return out.Gauge.GetValue()
	}
	return float64(out.Histogram.GetSampleCount())
}

func TestMetrics(t *testing.T) {
	s := newStand(t)
	service := s.service(t, Config{})
	stop := run(t, service)
	s.append(t, 10, 20)
	s.eventually(t, 200, "SELECT count() FROM "+s.ch.Table("reports"))
	stop()
	f := func(name string, m prometheus.Metric, least float64) {
		t.Helper()
		if got := value(t, m); got < least {
			t.Errorf("%s: got %v, want at least %v", name, got, least)
		}
	}
	m := service.metrics
	f("rows of readings", m.rows.WithLabelValues("readings_g1"), 800)
	f("rows of reports", m.rows.WithLabelValues("reports_g1"), 200)
	f("inserts", m.inserts.WithLabelValues("readings_g1"), 1)
	f("bytes", m.bytes, 800*30)
	f("blocks", m.blocks, 1)
	f("store time", m.storeTime, 1)
	f("delay", m.delay.(prometheus.Metric), 1)
	f("block rows", m.blockRows, 1)
	f("schema ready", m.schemaReady, 1)
	if got, inserts := value(t, m.blocks), value(t, m.inserts.WithLabelValues("reports_g1")); got != inserts {
		t.Errorf("%v blocks of one month each took %v inserts of reports", got, inserts)
	}
}
