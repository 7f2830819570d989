package analytics

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

const lateSchema = 999 // an id that the registry does not know at first

// late returns a record whose schema is not registered yet, redriven from the given letters.
func (s *stand) late(t testing.TB, n int, from ...schemas.DeadLetter) *kgo.Record {
	t.Helper()
	r := report(1, n)
	value := bytes.Clone(s.encodedAs(t, r))
	binary.BigEndian.PutUint32(value[1:], lateSchema)
	record := &kgo.Record{Key: r.AppendKey(nil), Value: value}
	for i := range from {
		h := schemas.RedriveOf(&from[i]).Header()
		record.Headers = append(record.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return record
}

// encodedAs returns the bytes of a report as the log writes it, from a topic of another installation.
func (s *stand) encodedAs(t testing.TB, r *schemas.TelemetryReported) []byte {
	t.Helper()
	cfg := s.cluster.Config()
	cfg.Prefix = "other."
	other := &stand{cluster: s.cluster, log: s.cluster.Open(t, cfg)}
	return other.encoded(t, eventlog.TopicTelemetry, r)
}

// register lets the registry know the schema, and returns a stand of a process that has not asked for it before.
func (s *stand) register(t testing.TB) *stand {
	t.Helper()
	versions, err := schemas.KindTelemetryReported.Versions()
	if err != nil {
		t.Fatal(err)
	}
	s.cluster.Registry.SeedSchema("dev.fieldlog.Late", 1, lateSchema, sr.Schema{Schema: versions[len(versions)-1].Text})
	return &stand{cluster: s.cluster, log: s.cluster.Open(t, s.cluster.Config()), ch: s.ch}
}

// stored runs a generation until it has stored as many reports as wanted, and checks that it has each once.
func (s *stand) stored(t testing.TB, cfg Config, want uint64) *Service {
	t.Helper()
	svc := s.service(t, cfg)
	stop := run(t, svc)
	table := s.ch.Table(tableOf("reports", max(cfg.Generation, 1)))
	s.eventually(t, want, "SELECT count() FROM "+table)
	stop()
	if n := s.count(t, "SELECT uniqExact(event_id) FROM "+table); n != want {
		t.Errorf("generation %d: %d of %d reports are different ones", cfg.Generation, n, want)
	}
	return svc
}

// TestARedrivenRecordIsStoredOnceInEveryGeneration redrives a report twice, between others of its device: the second time it can
// be stored. A generation that comes later could store all three.
func TestARedrivenRecordIsStoredOnceInEveryGeneration(t *testing.T) {
	s := newStand(t)
	after := func(n int) { // others of the device
		t.Helper()
		if _, err := s.log.Append(t.Context(), report(1, n)); err != nil {
			t.Fatal(err)
		}
	}
	var letters []schemas.DeadLetter
	bury := func() {
		t.Helper()
		s.foreign(t, s.late(t, 0, letters...))
		for _, l := range s.lettersAt(t, len(letters)+1) {
			if l.Attempt == int32(len(letters)) {
				letters = append(letters, l)
				return
			}
		}
		t.Fatalf("there is no letter of attempt %d", len(letters))
	}
	stop := run(t, s.service(t, Config{}))
	after(1)
	bury()
	after(2)
	bury()
	stop()
	s = s.register(t)
	s.foreign(t, s.late(t, 0, letters...))
	after(3)
	after(4)

	f := func(generation, maxRows int, superfluous float64) {
		t.Helper()
		svc := s.stored(t, Config{Generation: generation, MaxRows: maxRows, Shadow: generation > 1}, 5)
		if n := value(t, svc.metrics.superfluous); n != superfluous {
			t.Errorf("generation %d: %v copies are superfluous, want %v", generation, n, superfluous)
		}
	}
	f(1, 0, 0)     // gave two up
	f(2, 1, 2)     // a block a record
	f(3, 0, 2)     // one block of all
	f(4, 3*5, 2)   // three records a block
	f(5, 2*5+1, 2) // so that blocks end elsewhere
}

// lettersAt reads as many dead letters of the service.
func (s *stand) lettersAt(t testing.TB, want int) []schemas.DeadLetter {
	t.Helper()
	decoder := eventlog.NewDecoder[schemas.DeadLetter](s.log, schemas.KindDeadLetter)
	var found []schemas.DeadLetter
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicDeadLetters, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		var l schemas.DeadLetter
		if err := decoder.Decode(t.Context(), r, &l); err != nil {
			t.Fatal(err)
		}
		if found = append(found, l); len(found) == want {
			break
		}
	}
	return found
}

// TestARedriveAndACrash lets a process die at inserts of a later generation; the heir must leave out what it left out.
func TestARedriveAndACrash(t *testing.T) {
	s := newStand(t)
	stop := run(t, s.service(t, Config{}))
	s.foreign(t, s.late(t, 0))
	letter := s.lettersAt(t, 1)[0]
	stop()
	s = s.register(t)
	s.foreign(t, s.late(t, 0, letter))
	const inserts = 6 // of the first copy; the second has none
	for at := int64(0); at <= 2*inserts; at += 3 {
		generation := int(at) + 2
		first := &mortal{tables: s.ch, at: at, dead: make(chan struct{})}
		victim, err := newService(Config{Generation: generation, Shadow: true, MaxRows: 1, MaxAge: time.Hour, Drain: time.Millisecond}, s.log, s.ch, first, quiet, nil)
		if err != nil {
			t.Fatal(err)
		}
		stop := run(t, victim)
		if at < 2*inserts {
			<-first.dead
		} else {
			s.eventually(t, 1, "SELECT count() FROM "+s.ch.Table(tableOf("reports", generation)))
		}
		stop()
		s.stored(t, Config{Generation: generation, Shadow: true, MaxRows: 1}, 1)
	}
}

// TestAForgedRedriveTakesNothingAway has records that claim to be copies of others.
func TestAForgedRedriveTakesNothingAway(t *testing.T) {
	s := newStand(t)
	first, err := s.log.Append(t.Context(), report(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	s.stored(t, Config{}, 1)
	forge := func(n int, partition int32, offset int64, id string) {
		value := s.encodedAs(t, report(1, n))
		h := schemas.Redrive{Letter: "l", Topic: "telemetry", TopicID: id, Partition: partition, Offset: offset}.Header()
		s.foreign(t, &kgo.Record{Key: report(1, n).AppendKey(nil), Value: value, Headers: []kgo.RecordHeader{{Key: h.Key, Value: h.Value}}})
	}
	forge(1, int32(first.Partition), int64(first.Offset), "another topic") // another report is there
	forge(2, int32(first.Partition), int64(first.Offset)+500, "another topic")
	forge(3, 99, 0, fmt.Sprintf("%032x", 1))
	s.stored(t, Config{}, 4)
}

var _ tables = (*clickhouse.Client)(nil)

// TestARetriedReportIsRedrivenOnce sends a report that cannot be stored twice, under an id of its sender's own, redrives it, and
// sends it once more. The redriven record is no retry; all others but the first are.
func TestARetriedReportIsRedrivenOnce(t *testing.T) {
	s := newStand(t)
	send := func(from ...schemas.DeadLetter) {
		t.Helper()
		r := s.late(t, 0, from...)
		r.Headers = append([]kgo.RecordHeader{{Key: "ce_id", Value: []byte(report(1, 0).EventID)}, {Key: eventlog.HeaderRetryable, Value: []byte("1")}}, r.Headers...)
		s.foreign(t, r)
	}
	stop := run(t, s.service(t, Config{}))
	send()
	letter := s.lettersAt(t, 1)[0]
	send()
	s.eventually(t, 1, "SELECT count() FROM "+s.ch.Table("duplicates"))
	stop()
	s = s.register(t)
	send(letter)
	send()
	f := func(generation, maxRows int) {
		t.Helper()
		stop := run(t, s.service(t, Config{Generation: generation, MaxRows: maxRows, Shadow: generation > 1}))
		s.eventually(t, 2, "SELECT count() FROM "+s.ch.Table(tableOf("duplicates", generation))) // the last record is one
		stop()
		if n := s.count(t, "SELECT count() FROM "+s.ch.Table(tableOf("reports", generation))); n != 1 {
			t.Errorf("generation %d: got %d reports, want 1", generation, n)
		}
	}
	f(1, 0)
	f(2, 0)
	f(3, 1)
	letters := 0
	for _, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicDeadLetters}) {
		if err != nil {
			t.Fatal(err)
		}
		letters++
	}
	if letters != 1 {
		t.Errorf("got %d letters, want 1", letters)
	}
}
