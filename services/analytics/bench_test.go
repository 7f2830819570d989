package analytics

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/readings"
	"github.com/fieldlog/fieldlog/schemas"
)

// many returns the n-th report of a fleet: ten metrics, one report a second from each of 50,000 devices in no order.
func many(n int) *schemas.TelemetryReported {
	device := n * 7919 % 50_000
	at := schemas.TimeOf(start) + schemas.Time(n/50_000)*1_000_000 + schemas.Time(n%1000)*1000
	r := &schemas.TelemetryReported{
		Envelope: schemas.Envelope{
			EventID: fmt.Sprintf("018f2d3a-0000-7000-8000-%012d", n), TraceID: fmt.Sprintf("%032x", n*1_000_003), EventTime: at, ReceivedTime: at + 900, Origin: "http",
		},
		Client: fmt.Sprintf("client-%03d", device/1000), Device: fmt.Sprintf("device-%06d", device),
	}
	for m := range 10 {
		v := schemas.DoubleValue(float64(20_000+(n*31+m*977)%1000) / 100)
		if m == 9 {
			v = schemas.IntegerValue(int64(n))
		}
		r.Readings = append(r.Readings, schemas.Reading{Metric: fmt.Sprintf("metric_%d", m), Time: at, Unit: "C", Value: v})
	}
	return r
}

// records returns the log's own records of reports of a fleet.
func (s *stand) records(b *testing.B, reports int) []*eventlog.Record {
	b.Helper()
	for first := 0; first < reports; first += 5000 {
		batch := s.log.NewBatch()
		for n := first; n < min(first+5000, reports); n++ {
			if err := batch.Add(many(n)); err != nil {
				b.Fatal(err)
			}
		}
		for _, result := range batch.Commit(b.Context()) {
			if result.Err != nil {
				b.Fatal(result.Err)
			}
		}
		batch.Release()
	}
	var records []*eventlog.Record
	for r, err := range s.log.Read(b.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			b.Fatal(err)
		}
		records = append(records, r)
	}
	return records
}

func perReading(b *testing.B, count int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/reading")
}

// BenchmarkRecordsToColumns measures a record's bytes to sorted columns. "copy" is the ceiling: moving the bytes.
func BenchmarkRecordsToColumns(b *testing.B) {
	const reports = 20_000
	s := newStand(b)
	records := s.records(b, reports)
	b.Run("copy", func(b *testing.B) {
		target := make([]byte, 1<<20)
		for b.Loop() {
			for _, r := range records {
				copy(target, r.Value)
			}
		}
		perReading(b, reports*10)
	})
	decoder := eventlog.NewDecoder[schemas.TelemetryReported](s.log, schemas.KindTelemetryReported)
	var report schemas.TelemetryReported
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			for _, r := range records {
				if err := decoder.Decode(b.Context(), r, &report); err != nil {
					b.Fatal(err)
				}
			}
		}
		perReading(b, reports*10)
	})
	b.Run("decode, fold and sort", func(b *testing.B) {
		var block readings.Block
		b.ReportAllocs()
		for b.Loop() {
			s.fold(b, &block, decoder, records)
			block.Sort()
		}
		perReading(b, reports*10)
	})
}

func (s *stand) fold(b *testing.B, block *readings.Block, decoder *eventlog.Decoder[schemas.TelemetryReported], records []*eventlog.Record) {
	var report schemas.TelemetryReported
	block.Reset()
	for _, r := range records {
		if err := decoder.Decode(b.Context(), r, &report); err != nil {
			b.Fatal(err)
		}
		if err := block.Add(int64(r.Offset), &report); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInsert measures one block of columns into ClickHouse. "bare" is the readings alone, "all tables" adds rollups,
// devices and reports. The ceilings: "null" stores nothing, "server" is the same readings from ClickHouse's own memory,
// without a client.
func BenchmarkInsert(b *testing.B) {
	for _, reports := range []int{1_000, 10_000, 50_000} {
		b.Run(fmt.Sprintf("rows=%d", reports*10), func(b *testing.B) { benchmarkInsert(b, reports) })
	}
}

func benchmarkInsert(b *testing.B, reports int) {
	s := newStand(b)
	if err := (schema{cfg: Config{}.withDefaults(), ch: s.ch}).apply(b.Context()); err != nil {
		b.Fatal(err)
	}
	exec := func(statement string) {
		if err := s.ch.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
	full := s.ch.Table("readings_g1")
	exec("CREATE TABLE " + s.ch.Table("bare") + " AS " + full)
	exec("CREATE TABLE " + s.ch.Table("nothing") + " AS " + full + " ENGINE = Null")
	exec("CREATE TABLE " + s.ch.Table("memory") + " AS " + full + " ENGINE = Memory")

	block := &block{}
	decoder := eventlog.NewDecoder[schemas.TelemetryReported](s.log, schemas.KindTelemetryReported)
	s.fold(b, &block.rows, decoder, s.records(b, reports))
	st := &store{sink: newSink(Config{}.withDefaults(), s.log, s.ch, newMetrics(nil)), block: block}
	token := 0
	insert := func(b *testing.B, o clickhouse.InsertOptions, table string) {
		token++
		o.Table, o.Token = table, fmt.Sprint(time.Now().UnixNano(), token)
		if _, err := s.ch.Insert(context.Background(), o); err != nil {
			b.Fatal(err)
		}
	}
	into := func(name, table string) {
		b.Run(name, func(b *testing.B) {
			o := st.group(perMonth - 1).InsertOptions
			for b.Loop() {
				insert(b, o, table)
			}
			perReading(b, reports*10)
		})
	}
	into("unsorted/bare", "bare")
	block.rows.Sort()
	into("null", "nothing")
	into("bare", "bare")
	b.Run("all tables", func(b *testing.B) {
		st.sorted = true
		for b.Loop() {
			token++
			st.of.First, st.done = eventlog.Offset(token), 0
			block.rows.Summarize(readings.Source{Name: st.source()})
			if err := st.insertAll(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		perReading(b, reports*10)
	})
	insert(b, st.group(perMonth-1).InsertOptions, "memory")
	b.Run("server", func(b *testing.B) {
		for b.Loop() {
			exec("INSERT INTO " + s.ch.Table("bare") + " SETTINGS max_threads = 1, max_insert_threads = 1, max_block_size = 10000000, min_insert_block_size_rows = 10000000, insert_deduplicate = 0 SELECT * FROM " + s.ch.Table("memory"))
		}
		perReading(b, reports*10)
	})
}

// BenchmarkSink measures the log to stored rows: fetch, decode, fold, sort, send, all tables. Each round is a
// generation of its own.
func BenchmarkSink(b *testing.B) {
	const reports = 50_000
	s := newStand(b)
	s.records(b, reports)
	generation := 0
	for b.Loop() {
		generation++
		service, err := New(Config{Generation: generation, Shadow: true}, s.log, s.ch, quiet, nil)
		if err != nil {
			b.Fatal(err)
		}
		stop := run(b, service)
		s.eventually(b, reports, "SELECT count() FROM "+s.ch.Table(tableOf("reports", generation)))
		stop()
	}
	perReading(b, reports*10)
}
