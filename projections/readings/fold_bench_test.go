package readings

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/fieldlog/fieldlog/schemas"
)

// steady returns reports of as many devices, each with the given number of metrics.
func steady(devices, metrics int) []schemas.TelemetryReported {
	stream := make([]schemas.TelemetryReported, devices)
	for d := range stream {
		now := schemas.Time(1_795_000_000_000_000) + schemas.Time(d)
		r := &stream[d]
		r.Envelope = schemas.Envelope{
			EventID: fmt.Sprintf("018f2d3a-0000-7000-8000-%012d", d), TraceID: fmt.Sprintf("%032x", d), EventTime: now, ReceivedTime: now + 900, Origin: "http",
		}
		// Devices arrive in no order of their names.
		r.Client, r.Device = fmt.Sprintf("client-%03d", d%20), fmt.Sprintf("device-%06d", d*7919%devices)
		for m := range metrics {
			r.Readings = append(r.Readings, schemas.Reading{
				Metric: fmt.Sprintf("metric_%d", m), Time: now, Unit: "C", Value: schemas.DoubleValue(float64(d%1000) / 4),
			})
		}
	}
	return stream
}

// borrow copies a report into memory that the caller can overwrite.
func borrow(r *schemas.TelemetryReported, memory *[][]byte) *schemas.TelemetryReported {
	s := func(text string) string {
		if text == "" {
			return ""
		}
		b := []byte(strings.Clone(text))
		*memory = append(*memory, b)
		return unsafe.String(&b[0], len(b))
	}
	c := *r
	c.EventID, c.EventType, c.TraceID, c.Origin, c.Host, c.Publisher = s(r.EventID), s(r.EventType), s(r.TraceID), s(r.Origin), s(r.Host), s(r.Publisher)
	c.Client, c.Device = s(r.Client), s(r.Device)
	c.Labels, c.Readings = nil, nil
	for _, l := range r.Labels {
		c.Labels = append(c.Labels, schemas.Label{Name: s(l.Name), Value: s(l.Value)})
	}
	for _, reading := range r.Readings {
		reading.Metric, reading.Unit = s(reading.Metric), s(reading.Unit)
		if reading.Value.Type() == schemas.Text {
			reading.Value = schemas.TextValue(s(reading.Value.Text()))
		}
		c.Readings = append(c.Readings, reading)
	}
	return &c
}

// BenchmarkFold measures reports to columns. "copy" is the ceiling: moving the same readings in memory.
func BenchmarkFold(b *testing.B) {
	const devices, metrics = 10_000, 10
	stream := steady(devices, metrics)
	perReading := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(devices*metrics), "ns/reading")
	}
	b.Run("copy", func(b *testing.B) {
		target := make([]schemas.Reading, metrics)
		for b.Loop() {
			for i := range stream {
				copy(target, stream[i].Readings)
			}
		}
		perReading(b)
	})
	fold := func(b *testing.B, block *Block) {
		block.Reset()
		for i := range stream {
			if err := block.Add(int64(i), &stream[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("add", func(b *testing.B) {
		var block Block
		b.ReportAllocs()
		for b.Loop() {
			fold(b, &block)
		}
		perReading(b)
	})
	b.Run("sort", func(b *testing.B) {
		var block Block
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			fold(b, &block)
			b.StartTimer()
			block.Sort()
		}
		perReading(b)
	})
}
