package analytics

import (
	"fmt"
	"testing"
)

// recompute compares every rollup and the devices with what the rows of readings give.
func (s *stand) recompute(t testing.TB) {
	t.Helper()
	buckets := map[string]string{"readings_1m": "toStartOfMinute", "readings_1h": "toStartOfHour", "readings_1d": "toStartOfDay"}
	for _, rollup := range (schema{}).Rollups() {
		s.same(t, rollup,
			fmt.Sprintf("SELECT client, device, metric, time, count, min, max, sum, avg, last, last_time FROM %s", s.ch.Table(rollup)),
			fmt.Sprintf("SELECT client, device, metric, %s(r.time) AS bucket, count(), min(value), max(value), sum(value), sum(value)/count(),"+
				" argMax(value, (r.time, partition, `offset`, `index`)), max(r.time)"+
				" FROM %s AS r WHERE type != 'text' GROUP BY client, device, metric, bucket", buckets[rollup], s.ch.Table("readings")))
	}
	s.same(t, "devices",
		fmt.Sprintf("SELECT client, device, last_time, last_seen, `values` FROM %s", s.ch.Table("devices")),
		fmt.Sprintf("SELECT client, device, max(time), max(received), CAST(arraySort(groupArray((toString(metric), last))), 'Map(String, String)') FROM"+
			" (SELECT client, device, metric, max(r.time) AS time, max(r.received) AS received, argMax(multiIf(type = 'text', text, type = 'integer', toString(integer),"+
			" type = 'boolean', if(integer = 1, 'true', 'false'), toString(value)), (r.time, partition, `offset`, `index`)) AS last"+
			" FROM %s AS r GROUP BY client, device, metric) GROUP BY client, device", s.ch.Table("readings")))
}

// same compares the rows of two queries, whatever their order, and fails if there are none.
func (s *stand) same(t testing.TB, what, got, want string) {
	t.Helper()
	if s.count(t, "SELECT count() FROM ("+got+")") == 0 {
		t.Errorf("%s has no rows", what)
	}
	for _, pair := range [][2]string{{got, want}, {want, got}} {
		if n := s.count(t, "SELECT count() FROM (("+pair[0]+") EXCEPT ALL ("+pair[1]+"))"); n != 0 {
			t.Errorf("%s: %d rows differ from a recomputation", what, n)
		}
	}
}
