package auditor

import (
	"fmt"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/analytics"
)

// letterOf returns a letter about a record, as analytics writes it.
func (s *stand) letterOf(at eventlog.Position) *schemas.DeadLetter {
	return &schemas.DeadLetter{
		Envelope: schemas.Envelope{EventID: fmt.Sprintf("analytics-%s-%d-%d", s.topicID(), at.Partition, at.Offset), Origin: "analytics"},
		Reason:   schemas.ReasonInvalid, Topic: "telemetry", TopicID: s.topicID(), Partition: int32(at.Partition), Offset: int64(at.Offset),
	}
}

func (s *stand) record(at eventlog.Position) *eventlog.Record {
	s.t.Helper()
	for r, err := range s.log.Read(s.t.Context(), eventlog.ReadOptions{Topic: at.Topic, Partitions: []eventlog.Partition{at.Partition}, From: eventlog.FromOffset(at.Offset)}) {
		if err != nil {
			s.t.Fatal(err)
		}
		return r
	}
	s.t.Fatalf("there is nothing at %v", at)
	return nil
}

// repeat appends a record again as a redrive does, and stores it.
func (s *stand) repeat(at eventlog.Position, copyOf *schemas.DeadLetter) {
	s.t.Helper()
	tx, err := s.log.Transactor(s.t.Context(), "redrive")
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Close()
	r := s.record(at)
	if err := tx.Run(s.t.Context(), func(tx *eventlog.Tx) error {
		tx.Repeat(r, schemas.RedriveOf(copyOf).Header())
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	stop := s.analytics(analytics.Config{})
	s.wait(s.auditor)
	stop()
}

// TestOfCopiesOneIsStored has a record that was given up by one generation, stored by this one, and redriven.
func TestOfCopiesOneIsStored(t *testing.T) {
	s := newStand(t)
	s.flow(200)
	now := schemas.TimeOf(time.Now())
	at := s.append(&schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: "one", EventTime: now, ReceivedTime: now}, Client: "c", Device: "d",
		Readings: []schemas.Reading{{Metric: "a", Time: now}, {Metric: "b", Time: now}},
	})
	letter := s.letterOf(at)
	s.append(letter)
	s.repeat(at, letter) // this generation stores the first copy, and leaves the second out
	result := s.differs()
	f := func(name string, column func(*Row) int64, want int64) {
		t.Helper()
		if got := result.total(column); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	f("stored", func(r *Row) int64 { return r.Stored }, 201)
	f("copies", func(r *Row) int64 { return r.Copies }, 1)
	f("dead letters", func(r *Row) int64 { return r.DeadLetters }, 0)

	here := fmt.Sprintf("partition = %d AND `offset` = %d", at.Partition, at.Offset)
	name := fmt.Sprintf("telemetry/%d@%d-%d", at.Partition, at.Offset, at.Offset)
	s.exec("ALTER TABLE READINGS DELETE WHERE " + here + " AND `index` = 1 SETTINGS mutations_sync = 2")
	s.differs("missing in ClickHouse: " + name + " (readings)")
	s.exec("ALTER TABLE READINGS DELETE WHERE " + here + " SETTINGS mutations_sync = 2")
	s.exec("ALTER TABLE REPORTS DELETE WHERE " + here + " SETTINGS mutations_sync = 2")
	second := s.lastOffset(at.Partition)
	again := fmt.Sprintf("telemetry/%d@%d-%d", at.Partition, second, second)
	s.differs("missing in ClickHouse: "+again+" (readings)", "missing in ClickHouse: "+again+" (reports)") // now neither is there
}

// lastOffset returns the offset of a partition's last record.
func (s *stand) lastOffset(p eventlog.Partition) (last eventlog.Offset) {
	s.t.Helper()
	for r, err := range s.log.Read(s.t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry, Partitions: []eventlog.Partition{p}}) {
		if err != nil {
			s.t.Fatal(err)
		}
		last = r.Offset
	}
	return last
}

// TestADeadLetterThatIsStoredInPartIsNamed has rows in one table only.
func TestADeadLetterThatIsStoredInPartIsNamed(t *testing.T) {
	s := newStand(t)
	s.flow(100)
	at := eventlog.Position{Topic: "telemetry", Partition: 1, Offset: 3}
	s.append(s.letterOf(at))
	s.differs() // it is stored whole
	s.exec("ALTER TABLE REPORTS DELETE WHERE partition = 1 AND `offset` = 3 SETTINGS mutations_sync = 2")
	s.differs("in ClickHouse but not in the log: telemetry/1@3-3 (readings)")
	s.exec("ALTER TABLE READINGS DELETE WHERE partition = 1 AND `offset` = 3 SETTINGS mutations_sync = 2")
	if n := s.differs().total(func(r *Row) int64 { return r.DeadLetters }); n != 1 {
		t.Errorf("dead letters: got %d, want 1", n)
	}
}
