package auditor

import (
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/analytics"
)

// TestReportsThatAreSentAgainAreCopies sends reports with ids of their own again, past the gateway's own index.
func TestReportsThatAreSentAgainAreCopies(t *testing.T) {
	s := newStand(t)
	address, stop := s.gateway()
	const report = `{"client":"c","device":"d","event_id":"one","readings":{"level":1}}`
	for range 2 { // the gateway answers the second one itself
		s.send(address, "application/json", report)
	}
	stop()
	first := s.first()
	s.again(first)
	s.again(first)
	store := s.analytics(analytics.Config{})
	s.wait(s.auditor)
	store()
	result := s.differs()
	logged := result.total(func(r *Row) int64 { return r.Log })
	if stored, copies := result.total(func(r *Row) int64 { return r.Stored }), result.total(func(r *Row) int64 { return r.Copies }); stored != 1 || copies != 2 || logged != 3 {
		t.Fatalf("got %d in the log, %d stored, %d copies", logged, stored, copies)
	}
	name := func(kind Kind, table string, o eventlog.Offset) string {
		return Difference{Kind: kind, Table: table, Topic: "telemetry", Partition: first.Partition, Range: eventlog.Range{First: o, Next: o + 1}}.String()
	}
	duplicates := s.ch.Table("duplicates_g1")
	s.exec("INSERT INTO " + duplicates + " SELECT * FROM " + duplicates + " ORDER BY `offset` DESC LIMIT 1")
	s.differs(name(Doubled, "duplicates", s.lastOffset(first.Partition)))
	s.exec("TRUNCATE TABLE " + duplicates)
	s.differs(name(Missing, "readings", 1), name(Missing, "reports", 1), name(Missing, "readings", 3), name(Missing, "reports", 3)) // 2 is a marker
}

// TestADuplicateOfNothingIsNamed has an original that is stored nowhere.
func TestADuplicateOfNothingIsNamed(t *testing.T) {
	s := newStand(t)
	s.flow(100)
	s.exec("INSERT INTO " + s.ch.Table("duplicates_g1") + " (topic_id, partition, `offset`, original) SELECT topic_id, partition, `offset`, 4 FROM REPORTS WHERE partition = 2 AND `offset` = 9")
	for _, table := range []string{"READINGS", "REPORTS"} {
		s.exec("ALTER TABLE " + table + " DELETE WHERE partition = 2 AND `offset` = 9" + now)
	}
	s.differs() // 9 repeats 4, which is stored
	for _, table := range []string{"READINGS", "REPORTS"} {
		s.exec("ALTER TABLE " + table + " DELETE WHERE partition = 2 AND `offset` = 4" + now)
	}
	s.differs("missing in ClickHouse: telemetry/2@4-4 (readings)", "missing in ClickHouse: telemetry/2@4-4 (reports)", "missing in ClickHouse: telemetry/2@9-9 (duplicates)")
	s.exec("INSERT INTO " + s.ch.Table("duplicates_g1") + " (topic_id, partition, `offset`, original) SELECT topic_id, partition, `offset`, 3 FROM REPORTS WHERE partition = 2 AND `offset` = 8")
	s.differs("missing in ClickHouse: telemetry/2@4-4 (readings)", "missing in ClickHouse: telemetry/2@4-4 (reports)", "missing in ClickHouse: telemetry/2@9-9 (duplicates)",
		"in ClickHouse but not in the log: telemetry/2@8-8 (readings)", "in ClickHouse but not in the log: telemetry/2@8-8 (reports)") // stored, although it is said to be a duplicate
}

// first returns the position of the first record.
func (s *stand) first() eventlog.Position {
	s.t.Helper()
	for r, err := range s.log.Read(s.t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			s.t.Fatal(err)
		}
		return r.Position
	}
	s.t.Fatal("there is no record")
	return eventlog.Position{}
}

// again appends a record as another gateway would that knows of no earlier one.
func (s *stand) again(at eventlog.Position) {
	s.t.Helper()
	tx, err := s.log.Transactor(s.t.Context(), "again")
	if err != nil {
		s.t.Fatal(err)
	}
	defer tx.Close()
	r := s.record(at)
	if err := tx.Run(s.t.Context(), func(tx *eventlog.Tx) error {
		tx.Repeat(r, schemas.Header{Key: "again", Value: []byte("1")})
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
}
