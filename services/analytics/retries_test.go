package analytics

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
)

// retry appends reports whose ids are their sender's own.
func (s *stand) retry(t testing.TB, reports ...*schemas.TelemetryReported) []eventlog.Result {
	t.Helper()
	batch := s.log.NewBatch()
	for _, r := range reports {
		if err := batch.AddRetryable(r); err != nil {
			t.Fatal(err)
		}
	}
	results := batch.Commit(t.Context()) // the batch is not released: its results outlive this function
	for _, result := range results {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	return results
}

// decisions folds the log itself: which records take part, and which repeat an earlier one, as rows of table duplicates.
func (s *stand) decisions(t testing.TB, limits duplicates.Limits) (stored uint64, repeated map[string]bool) {
	t.Helper()
	windows := map[eventlog.Partition]*duplicates.Window{}
	repeated = map[string]bool{}
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		if windows[r.Partition] == nil {
			windows[r.Partition] = duplicates.New(limits)
		}
		stored++
		id, own := r.SenderID()
		if !own {
			continue
		}
		original, again := windows[r.Partition].Add(duplicates.Identify(r.Key, id.Source, id.ID), int64(r.Offset), schemas.TimeOf(r.Timestamp))
		if again {
			stored--
			repeated[fmt.Sprintf("%s %s %d %d %d", r.Key, id.ID, r.Partition, r.Offset, original)] = true
		}
	}
	return stored, repeated
}

// repeated checks that table duplicates holds exactly what a fold of the log says, each once.
func (s *stand) repeated(t testing.TB) {
	t.Helper()
	_, want := s.decisions(t, duplicates.Limits{})
	s.equalDuplicates(t, want)
}

func (s *stand) equalDuplicates(t testing.TB, want map[string]bool) {
	t.Helper()
	table := s.ch.Table("duplicates")
	if n := s.count(t, "SELECT count() FROM "+table); n != uint64(len(want)) || n == 0 {
		t.Errorf("%d duplicates are stored, want %d", n, len(want))
	}
	for row := range want {
		n := s.count(t, "SELECT count() FROM "+table+" WHERE format('{}/{} {} {} {} {}', client, device, event_id, toString(partition), toString(`offset`), toString(original)) = "+clickhouse.Quote(row))
		if n != 1 {
			t.Errorf("duplicate %s is stored %d times", row, n)
		}
	}
}

// TestRetriesAreDecidedEquallyAfterACrash lets a process die in a later block, whose retries are of reports in blocks
// that were stored long before; another takes over, and must read them again to know.
func TestRetriesAreDecidedEquallyAfterACrash(t *testing.T) {
	for _, at := range []int64{24, 25, 29, 32, 46, 48, 49} { // in the second block: its first insert, its last, and between
		t.Run(fmt.Sprintf("at half insert %d", at), func(t *testing.T) {
			s := newStand(t)
			first := &mortal{tables: s.ch, at: at, dead: make(chan struct{})}
			victim, err := newService(Config{MaxRows: 100, MaxAge: time.Hour, Drain: time.Millisecond}, s.log, s.ch, first, quiet, nil)
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, victim)
			for n := range 20 { // five rows each: the first block
				s.retry(t, over(n))
			}
			for n := 20; n < 50; n++ {
				s.retry(t, over(n), over(n-20))
			}
			<-first.dead
			stop()

			heir := s.service(t, Config{MaxRows: 7, MaxAge: 10 * time.Millisecond})
			stop = run(t, heir)
			s.eventually(t, 50, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("reports"))
			s.eventually(t, 200, "SELECT uniqExact(`offset`, `index`) FROM "+s.ch.Table("readings"))
			s.eventually(t, 30, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("duplicates"))
			stop()
			s.exactly(t, 50)
			s.repeated(t)
			if n := value(t, heir.metrics.again); n != 1 {
				t.Errorf("blocks stored again: got %v, want 1", n)
			}
			if n := value(t, heir.metrics.retries.rebuild); n != 1 {
				t.Errorf("windows read again: got %v, want 1", n)
			}
		})
	}
}

// TestAnyOwnerDecidesTheSame lets one owner after the other take over at random places of a stream whose retries come
// within and after the window.
func TestAnyOwnerDecidesTheSame(t *testing.T) {
	limits := duplicates.Limits{Reports: 25, Age: time.Second}
	s := newStand(t)
	random := rand.New(rand.NewPCG(4, 2))
	for round := range 6 {
		stop := run(t, s.service(t, Config{MaxRows: 20 + random.IntN(100), MaxAge: 5 * time.Millisecond, Retries: limits}))
		for range 10 {
			var reports []*schemas.TelemetryReported
			for range 1 + random.IntN(20) {
				reports = append(reports, report(random.IntN(3), random.IntN(40)))
			}
			s.retry(t, reports...)
			s.append(t, 1, random.IntN(2)) // without ids of their own: never a duplicate
		}
		if round%2 == 0 { // stop in the middle of what there is to store, or when all is
			stop()
			continue
		}
		stored, _ := s.decisions(t, limits)
		s.eventually(t, stored, "SELECT count() FROM "+s.ch.Table("reports"))
		stop()
	}
	stop := run(t, s.service(t, Config{Retries: limits}))
	stored, repeated := s.decisions(t, limits)
	s.eventually(t, stored, "SELECT count() FROM "+s.ch.Table("reports"))
	s.eventually(t, uint64(len(repeated)), "SELECT count() FROM "+s.ch.Table("duplicates"))
	stop()
	s.exactly(t, stored)
	s.equalDuplicates(t, repeated)
}

// TestReportsWithoutIdsCostNothing looks at what a process did that met none.
func TestReportsWithoutIdsCostNothing(t *testing.T) {
	s := newStand(t)
	service := s.service(t, Config{})
	stop := run(t, service)
	s.append(t, 5, 20)
	s.append(t, 5, 20) // equal ids, but given by nobody who would send them again
	s.eventually(t, 200, "SELECT count() FROM "+s.ch.Table("reports"))
	m := &service.metrics.retries
	if value(t, m.rebuild) != 0 || value(t, m.entries) != 0 || value(t, m.bytes) != 0 {
		t.Error("a window was made")
	}
	s.retry(t, report(1, 1), report(1, 1), report(1, 2))
	s.eventually(t, 202, "SELECT count() FROM "+s.ch.Table("reports"))
	s.eventually(t, 1, "SELECT count() FROM "+s.ch.Table("duplicates"))
	if entries, bytes := value(t, m.entries), value(t, m.bytes); entries != 3 || bytes < 3*24 {
		t.Errorf("%v reports in %v bytes are remembered, want 3", entries, bytes)
	}
	stop()
	if value(t, m.entries) != 0 || value(t, m.bytes) != 0 {
		t.Error("a window that was given up is still counted")
	}
	if n := value(t, service.metrics.duplicates); n != 1 {
		t.Errorf("duplicates: got %v, want 1", n)
	}
}

// TestAFullWindowIsCounted lets more reports come than may be remembered.
func TestAFullWindowIsCounted(t *testing.T) {
	s := newStand(t)
	service := s.service(t, Config{Retries: duplicates.Limits{Entries: 2}})
	stop := run(t, service)
	s.retry(t, report(1, 1), report(1, 2), report(1, 3), report(1, 1), report(1, 3))
	s.eventually(t, 4, "SELECT count() FROM "+s.ch.Table("reports"))
	s.eventually(t, 1, "SELECT count() FROM "+s.ch.Table("duplicates"))
	stop()
	if n := value(t, service.metrics.retries.shortened); n != 3 {
		t.Errorf("forgotten: got %v, want 3", n)
	}
}

// BenchmarkRebuild reads a window of 100,000 reports again, all of them with ids.
func BenchmarkRebuild(b *testing.B) {
	const reports = 100_000
	s := newStand(b)
	var last eventlog.Result
	for n := range reports / 1000 {
		var some []*schemas.TelemetryReported
		for i := range 1000 {
			some = append(some, report(1, n*1000+i))
		}
		last = s.retry(b, some...)[999]
	}
	sink := newSink(Config{}.withDefaults(), s.log, s.ch, newMetrics(nil))
	var record *eventlog.Record
	for r, err := range s.log.Read(b.Context(), eventlog.ReadOptions{Topic: last.Topic, Partitions: []eventlog.Partition{last.Partition}, From: eventlog.FromOffset(last.Offset)}) {
		if err != nil {
			b.Fatal(err)
		}
		record = r
	}
	for b.Loop() {
		window, err := sink.rebuild(b.Context(), record)
		if err != nil || window.Entries() != reports-1 {
			b.Fatal(window, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/reports, "ns/report")
}
