package auditor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/analytics"
)

func TestAllIsWell(t *testing.T) {
	s := newStand(t)
	s.flow(5000)
	result := s.differs()
	f := func(name string, column func(*Row) int64, want int64) {
		t.Helper()
		if got := result.total(column); got != want {
			t.Errorf("%s: got %d, want %d", name, got, want)
		}
	}
	f("accepted", func(r *Row) int64 { return r.Accepted }, 5000)
	f("log", func(r *Row) int64 { return r.Log }, 5000)
	f("readings", func(r *Row) int64 { return r.Readings }, 15000)
	f("stored", func(r *Row) int64 { return r.Stored }, 5000)
	f("unclaimed", func(r *Row) int64 { return r.Unclaimed }, 0)
	f("pending", func(r *Row) int64 { return r.Pending }, 0)
	if len(result.Notes) != 0 || result.Generation != 1 || !result.Pending.IsZero() || len(result.Rows) < partitions {
		t.Errorf("got %+v", result)
	}
}

// TestEveryDifferenceIsNamed breaks ClickHouse's tables, each time in one way.
func TestEveryDifferenceIsNamed(t *testing.T) {
	s := newStand(t)
	s.flow(3000)
	s.differs()
	f := func(statement string, want ...string) {
		t.Helper()
		s.exec("CREATE TABLE IF NOT EXISTS " + s.ch.Table("kept_readings") + " AS READINGS")
		s.exec("CREATE TABLE IF NOT EXISTS " + s.ch.Table("kept_reports") + " AS REPORTS")
		s.exec("INSERT INTO " + s.ch.Table("kept_readings") + " SELECT * FROM READINGS")
		s.exec("INSERT INTO " + s.ch.Table("kept_reports") + " SELECT * FROM REPORTS")
		for _, one := range strings.Split(statement, ";") {
			s.exec(one)
		}
		s.differs(want...)
		s.exec("TRUNCATE TABLE READINGS")
		s.exec("TRUNCATE TABLE REPORTS")
		s.exec("INSERT INTO READINGS SELECT * FROM " + s.ch.Table("kept_readings"))
		s.exec("INSERT INTO REPORTS SELECT * FROM " + s.ch.Table("kept_reports"))
		s.exec("DROP TABLE " + s.ch.Table("kept_readings"))
		s.exec("DROP TABLE " + s.ch.Table("kept_reports"))
	}
	f("ALTER TABLE READINGS DELETE WHERE partition = 1 AND `offset` BETWEEN 100 AND 120"+now,
		"missing in ClickHouse: telemetry/1@100-120 (readings)")
	f("ALTER TABLE READINGS DELETE WHERE partition = 1 AND `offset` = 7 AND `index` = 2"+now,
		"missing in ClickHouse: telemetry/1@7-7 (readings)")
	f("ALTER TABLE REPORTS DELETE WHERE partition = 0 AND `offset` IN (3, 5)"+now,
		"missing in ClickHouse: telemetry/0@3-3 (reports)", "missing in ClickHouse: telemetry/0@5-5 (reports)")
	f("INSERT INTO READINGS SELECT * FROM READINGS WHERE partition = 2 AND `offset` BETWEEN 10 AND 19",
		"doubled in ClickHouse: telemetry/2@10-19 (readings)")
	f("INSERT INTO REPORTS SELECT * FROM REPORTS WHERE partition = 2 AND `offset` = 4",
		"doubled in ClickHouse: telemetry/2@4-4 (reports)")
	f("INSERT INTO READINGS SELECT * FROM READINGS WHERE partition = 0 AND `offset` = 8;ALTER TABLE READINGS DELETE WHERE partition = 0 AND `offset` = 9"+now,
		"doubled in ClickHouse: telemetry/0@8-8 (readings)", "missing in ClickHouse: telemetry/0@9-9 (readings)")
	f("INSERT INTO READINGS SELECT * REPLACE (`index` + 3 AS `index`) FROM READINGS WHERE partition = 0 AND `offset` = 8 LIMIT 1",
		"in ClickHouse but not in the log: telemetry/0@8-8 (readings)")
	f("ALTER TABLE READINGS UPDATE `index` = 9 WHERE partition = 0 AND `offset` = 8 AND `index` = 1"+now,
		"in ClickHouse but not in the log: telemetry/0@8-8 (readings)", "missing in ClickHouse: telemetry/0@8-8 (readings)")
	ends, err := s.log.Decided(t.Context(), eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	last := ends[1].Next - 1
	f("ALTER TABLE READINGS DELETE WHERE partition = 1"+now, fmt.Sprintf("missing in ClickHouse: telemetry/1@0-%d (readings)", last))
	f("INSERT INTO REPORTS SELECT * FROM REPORTS WHERE partition = 1", fmt.Sprintf("doubled in ClickHouse: telemetry/1@0-%d (reports)", last))
	s.differs()
}

// TestWhatTheLogLosesIsNamed deletes records that are claimed and stored.
func TestWhatIsMissingAcrossHoursIsNamedOnce(t *testing.T) {
	r := &Result{}
	missing := Difference{Kind: Missing, Table: "readings", Topic: "telemetry", Partition: 3}
	other := missing
	other.Partition = 4
	r.name(missing, offsets.Set{{First: 2, Next: 4}, {First: 7, Next: 10}})
	r.name(other, offsets.Set{{First: 9, Next: 10}})
	r.name(missing, offsets.Set{{First: 10, Next: 12}, {First: 13, Next: 14}}) // of the next hour
	r.name(missing, offsets.Set{{First: 14, Next: 15}})
	var got []string
	for _, d := range r.Differences {
		got = append(got, d.String())
	}
	const here, there = "missing in ClickHouse: telemetry/3@%s (readings)", "missing in ClickHouse: telemetry/4@9-9 (readings)"
	want := []string{fmt.Sprintf(here, "2-3"), fmt.Sprintf(here, "7-11"), there, fmt.Sprintf(here, "13-14")}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhatTheLogLosesIsNamed(t *testing.T) {
	s := newStand(t)
	s.flow(600)
	ends, err := s.log.Decided(t.Context(), eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	lie := &schemas.ReceiptsCounted{Instance: "liar", Sequence: 3, Partitions: []schemas.PartitionReceipts{{
		Topic: "telemetry", TopicID: s.topicID(), Partition: 2, Records: 5,
		Ranges: []schemas.OffsetRange{{First: int64(ends[2].Next) - 2, Last: int64(ends[2].Next) + 2}},
	}}}
	s.append(lie)
	lie.Sequence, lie.Partitions = 6, nil
	s.append(lie)
	s.differs(fmt.Sprintf("claimed but not in the log: telemetry/2@%d-%d", ends[2].Next, ends[2].Next+2), "receipts lost: of gateway liar, numbers 4-5")

	var holes kadm.Offsets
	holes.AddOffset("fieldlog.telemetry", 2, 50, -1)
	if deleted, err := s.admin.DeleteRecords(t.Context(), holes); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	result := s.audit() // retention is no loss
	if len(result.Differences) != 2 || !slices.ContainsFunc(result.Notes, func(n string) bool { return strings.Contains(n, "telemetry/2 begins at offset 50") }) {
		t.Errorf("got %v %v %+v", result.Differences, result.Notes, result.Rows)
	}
}

// TestHolesLettersAndPendingAreNoDifferences has transactions, bad records, and records that nobody has stored yet.
func TestHolesLettersAndPendingAreNoDifferences(t *testing.T) {
	s := newStand(t)
	tx, err := s.log.Transactor(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	report := &schemas.TelemetryReported{Client: "c", Device: "d", Readings: []schemas.Reading{{Metric: "m", Time: schemas.TimeOf(time.Now())}}}
	for _, verdict := range []error{nil, context.Canceled, nil} {
		err := tx.Run(t.Context(), func(tx *eventlog.Tx) error { return errors.Join(tx.Append(report), verdict) })
		if !errors.Is(err, verdict) {
			t.Fatal(err)
		}
	}
	bad := &schemas.TelemetryReported{Client: "c", Device: "d"} // has no reading
	for range 3 {
		s.append(bad)
	}
	s.flow(300)
	result := s.differs()
	if n := result.total(func(r *Row) int64 { return r.DeadLetters }); n != 3 {
		t.Errorf("dead letters: got %d, want 3", n)
	}
	if n := result.total(func(r *Row) int64 { return r.Unclaimed }); n != 5 {
		t.Errorf("unclaimed: got %d, want 2 of transactions and 3 bad ones", n)
	}

	s.append(report)
	result = s.differs()
	if n := result.total(func(r *Row) int64 { return r.Pending }); n != 1 || result.Pending.IsZero() {
		t.Errorf("pending: got %d since %s, want 1", n, result.Pending)
	}
	s.exec("INSERT INTO READINGS SELECT * REPLACE (0 AS partition, 1000000 AS `offset`) FROM READINGS LIMIT 1") // beyond what is stored: somebody may be storing it
	s.differs()
}

// TestATopicThatIsCreatedAnew has offsets twice, of different topics.
func TestATopicThatIsCreatedAnew(t *testing.T) {
	s := newStand(t)
	s.flow(900)
	if _, err := s.admin.DeleteTopics(t.Context(), "fieldlog.telemetry"); err != nil {
		t.Fatal(err)
	}
	if err := s.log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.log = s.cluster.Open(t, s.cfg) // a producer does not survive its topic
	s.auditor = s.audits(0)
	result := s.differs()
	if len(result.Rows) != 0 || !slices.ContainsFunc(result.Notes, func(n string) bool { return strings.Contains(n, "900 records are of an earlier topic telemetry") }) {
		t.Errorf("got %+v", result)
	}
	s.flow(300)
	if n := s.differs().total(func(r *Row) int64 { return r.Stored }); n != 300 {
		t.Errorf("stored: got %d, want the 300 of the new topic", n)
	}
	s.exec("ALTER TABLE READINGS DELETE WHERE partition = 1 AND `offset` = 3 AND topic_id = '" + s.topicID() + "'" + now)
	s.differs("missing in ClickHouse: telemetry/1@3-3 (readings)")
}

// TestGenerationsAreAuditedApart fills a second generation beside the first, and breaks it.
func TestGenerationsAreAuditedApart(t *testing.T) {
	s := newStand(t)
	s.flow(600)
	second := s.audits(2)
	stop := s.analytics(analytics.Config{Generation: 2, Shadow: true})
	s.wait(second)
	stop()
	if err := s.ch.Exec(t.Context(), "ALTER TABLE "+s.ch.Table("reports_g2")+" DELETE WHERE partition = 0 AND `offset` < 4"+now); err != nil {
		t.Fatal(err)
	}
	s.differs()
	s.auditor = second
	if r := s.differs("missing in ClickHouse: telemetry/0@0-3 (reports)"); r.Generation != 2 {
		t.Errorf("got generation %d", r.Generation)
	}
}

// TestRetentionOfRows drops readings as ClickHouse's retention would.
func TestRetentionOfRows(t *testing.T) {
	s := newStand(t)
	s.flow(100)
	old := schemas.TimeOf(time.Now().AddDate(0, 0, -40))
	at := s.append(&schemas.TelemetryReported{Client: "c", Device: "old", Envelope: schemas.Envelope{ReceivedTime: schemas.TimeOf(time.Now())},
		Readings: []schemas.Reading{{Metric: "m", Time: old}, {Metric: "m", Time: schemas.TimeOf(time.Now())}}})
	stop := s.analytics(analytics.Config{Retention: analytics.Retention{Readings: 30}})
	s.wait(s.auditor)
	stop()
	s.exec(fmt.Sprintf("ALTER TABLE READINGS DELETE WHERE partition = %d AND `offset` = %d AND `index` = 0"+now, at.Partition, at.Offset))
	if n := s.differs().total(func(r *Row) int64 { return r.Expired }); n != 1 {
		t.Errorf("expired: got %d, want 1", n)
	}
	s.exec(fmt.Sprintf("ALTER TABLE READINGS DELETE WHERE partition = %d AND `offset` = %d AND `index` = 1"+now, at.Partition, at.Offset))
	s.differs(fmt.Sprintf("missing in ClickHouse: telemetry/%d@%d-%d (readings)", at.Partition, at.Offset, at.Offset))
}
