package auditor

import (
	"fmt"
	"slices"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
)

// TestRandomDamage deletes and doubles rows at random, over several buckets, and compares what the audit names with what a
// look at every row says.
func TestRandomDamage(t *testing.T) {
	s := newStand(t)
	s.flow(15_000) // more than a bucket in some partition
	for seed := 1; seed <= 2; seed++ {
		s.exec(fmt.Sprintf("INSERT INTO READINGS SELECT * FROM READINGS WHERE sipHash64(partition, `offset`, `index`, %d) %% 701 = 0", seed))
		s.exec(fmt.Sprintf("INSERT INTO REPORTS SELECT * FROM REPORTS WHERE sipHash64(partition, `offset`, %d) %% 503 = 0", seed))
		s.exec(fmt.Sprintf("ALTER TABLE READINGS DELETE WHERE sipHash64(`index`, partition, `offset`, %d) %% 907 = 0"+now, seed))
		s.exec(fmt.Sprintf("ALTER TABLE REPORTS DELETE WHERE partition = 1 AND `offset` BETWEEN %d AND %d"+now, 700*seed, 700*seed+seed*30))
		want := append(s.naive("readings", "READINGS", "`index`", 3), s.naive("reports", "REPORTS", "0", 1)...)
		if len(want) < 10 {
			t.Fatalf("there is hardly any damage: %v", want)
		}
		s.differs(want...)
	}
}

// naive looks at every row.
func (s *stand) naive(name, table, low string, each uint64) []string {
	s.t.Helper()
	ends, err := s.log.Decided(s.t.Context(), eventlog.TopicTelemetry)
	if err != nil {
		s.t.Fatal(err)
	}
	from := map[string]string{"READINGS": s.ch.Table("readings_g1"), "REPORTS": s.ch.Table("reports_g1")}[table]
	rows, err := s.ch.Query(s.t.Context(), "SELECT partition, `offset`, count(), uniqExact("+low+") FROM "+from+" GROUP BY partition, `offset`")
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	type counts struct{ all, distinct uint64 }
	got := map[position]counts{}
	for rows.Next() {
		var p uint32
		var o uint64
		var c counts
		if err := rows.Scan(&p, &o, &c.all, &c.distinct); err != nil {
			s.t.Fatal(err)
		}
		got[position{eventlog.Partition(p), eventlog.Offset(o)}] = c
	}
	var want []string
	for p, r := range ends {
		var missing, doubled []eventlog.Range
		for o := r.First; o < r.Next; o++ {
			c, one := got[position{p, o}], eventlog.Range{First: o, Next: o + 1}
			if c.distinct < each {
				missing = append(missing, one)
			}
			if c.all > c.distinct {
				doubled = append(doubled, one)
			}
		}
		for kind, list := range map[Kind][]eventlog.Range{Missing: missing, Doubled: doubled} {
			for _, r := range offsets.Of(list) {
				want = append(want, Difference{Kind: kind, Table: name, Topic: "telemetry", Partition: p, Range: r}.String())
			}
		}
	}
	slices.Sort(want)
	return want
}
