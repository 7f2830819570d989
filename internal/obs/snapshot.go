package obs

import (
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Snapshot is what a registry held at one moment.
type Snapshot map[string]*dto.MetricFamily

// Take reads every metric of a registry.
func Take(reg prometheus.Gatherer) (Snapshot, error) {
	families, err := reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	s := make(Snapshot, len(families))
	for _, family := range families {
		s[family.GetName()] = family
	}
	return s, nil
}

// Sum adds up a counter or gauge over the label values that match; want is label, value, label, value... An absent metric is 0.
func (s Snapshot) Sum(name string, want ...string) float64 {
	var sum float64
	for _, metric := range s[name].GetMetric() {
		if matches(metric, want) {
			sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	return sum
}

func matches(metric *dto.Metric, want []string) bool {
	for i := 0; i+1 < len(want); i += 2 {
		found := false
		for _, label := range metric.GetLabel() {
			found = found || label.GetName() == want[i] && label.GetValue() == want[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// Histogram adds up a histogram over its label values. An absent one is empty.
func (s Snapshot) Histogram(name string) Histogram {
	h := Histogram{}
	for _, metric := range s[name].GetMetric() {
		for i, bucket := range metric.GetHistogram().GetBucket() {
			if i == len(h.Bounds) {
				h.Bounds, h.Counts = append(h.Bounds, bucket.GetUpperBound()), append(h.Counts, 0)
			}
			h.Counts[i] += bucket.GetCumulativeCount()
		}
		h.Total += metric.GetHistogram().GetSampleCount()
	}
	return h
}

// Histogram counts observations: Counts[i] of them were Bounds[i] or less.
type Histogram struct {
	Bounds []float64
	Counts []uint64
	// Total includes what lies beyond the last bound.
	Total uint64
}

// Since returns what was observed after an earlier snapshot of the same histogram.
func (h Histogram) Since(earlier Histogram) Histogram {
	since := Histogram{Bounds: h.Bounds, Counts: make([]uint64, len(h.Counts)), Total: h.Total - earlier.Total}
	for i := range h.Counts {
		since.Counts[i] = h.Counts[i]
		if i < len(earlier.Counts) {
			since.Counts[i] -= earlier.Counts[i]
		}
	}
	return since
}

// Quantile estimates the q-quantile, q from 0 to 1, by a straight line within its bucket, as Prometheus does. It is NaN when
// nothing was observed, and the last finite bound when it lies beyond.
func (h Histogram) Quantile(q float64) float64 {
	if h.Total == 0 || len(h.Bounds) == 0 {
		return math.NaN()
	}
	rank := q * float64(h.Total)
	lower, before := 0.0, uint64(0)
	for i, bound := range h.Bounds {
		if math.IsInf(bound, 1) {
			break
		}
		if float64(h.Counts[i]) >= rank && h.Counts[i] > before {
			return lower + (bound-lower)*(rank-float64(before))/float64(h.Counts[i]-before)
		}
		lower, before = bound, h.Counts[i]
	}
	return lower
}
