package auditor

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/analytics"
)

// BenchmarkAudit measures an audit of records of ten readings each. "fetch" is the ceiling: the client fetches the same records
// and nobody looks at them.
func BenchmarkAudit(b *testing.B) {
	const records = 100_000
	s := newStand(b)
	stop := s.analytics(analytics.Config{})
	s.many(records)
	s.wait(s.auditor)
	stop()
	perRecord := func(b *testing.B) {
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
	}
	ranges, err := s.log.Decided(b.Context(), eventlog.TopicTelemetry)
	if err != nil {
		b.Fatal(err)
	}
	for range 3 {
		b.Run("fetch", func(b *testing.B) {
			for b.Loop() {
				s.fetch(b, records)
			}
			perRecord(b)
		})
		b.Run("scan", func(b *testing.B) {
			for b.Loop() {
				if err := s.log.Scan(b.Context(), eventlog.TopicTelemetry, ranges, func(*eventlog.Record) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			perRecord(b)
		})
		b.Run("audit", func(b *testing.B) {
			for b.Loop() {
				if result := s.audit(); result.Differs() || result.total(func(r *Row) int64 { return r.Stored }) != records {
					b.Fatalf("got %v %v", result.Differences, result.Rows)
				}
			}
			perRecord(b)
		})
	}
}

func (s *stand) many(records int) {
	s.t.Helper()
	report := &schemas.TelemetryReported{Client: "c", Readings: make([]schemas.Reading, 10)}
	at := schemas.TimeOf(s.begin)
	for i := range report.Readings {
		report.Readings[i] = schemas.Reading{Metric: "metric_" + string(rune('a'+i)), Time: at, Value: schemas.DoubleValue(float64(i))}
	}
	report.ReceivedTime, report.EventTime = at, at
	for sent := 0; sent < records; sent += 1000 {
		batch := s.log.NewBatch()
		for n := range 1000 {
			report.Device = "device-" + string(rune('a'+n%26))
			if err := batch.Add(report); err != nil {
				s.t.Fatal(err)
			}
		}
		for _, result := range batch.Commit(s.t.Context()) {
			if result.Err != nil {
				s.t.Fatal(result.Err)
			}
		}
		batch.Release()
	}
}

func (s *stand) fetch(b *testing.B, records int) {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Config().Brokers...), kgo.ConsumeTopics("fieldlog.telemetry"), kgo.FetchMinBytes(1))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	for left := records; left > 0; {
		fetches := client.PollRecords(b.Context(), 20_000)
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		left -= fetches.NumRecords()
	}
}
