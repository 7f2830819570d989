package auditor

import (
	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// bucketBits is the size of a bucket: 2^bucketBits offsets of a partition are compared by one pair of sums.
const bucketBits = 12

// place is a bucket of offsets of a partition.
type place struct {
	partition eventlog.Partition
	bucket    int64
}

func placeOf(p eventlog.Partition, o eventlog.Offset) place { return place{p, int64(o) >> bucketBits} }

// within returns the offsets of the bucket that lie in r.
func (p place) within(r eventlog.Range) eventlog.Range {
	first := eventlog.Offset(p.bucket << bucketBits)
	return eventlog.Range{First: max(first, r.First), Next: min(first+1<<bucketBits, r.Next)}
}

// sum stands for a set of rows: how many there are, and the sum of their hashes, modulo 2^64. The hash is a bijection of the row's
// place in the log, so two sets of equal number of which one has a row twice in the place of another have different sums; for
// differences of several rows to cancel out, 64 bits must agree by chance.
type sum struct{ rows, hash uint64 }

func (s *sum) add(t sum) { s.rows, s.hash = s.rows+t.rows, s.hash+t.hash }

func (s sum) twice() sum { return sum{2 * s.rows, 2 * s.hash} }

// sums are those of both tables.
type sums struct{ readings, reports sum }

func (s *sums) add(t sums) {
	s.readings.add(t.readings)
	s.reports.add(t.reports)
}

// rankBits is the room of a reading's index in its rank. A report has fewer readings, see package readings.
const rankBits = 20

// hashed is ClickHouse's intHash64 of a row's rank: offset and index for a reading, offset and number of readings for a report.
func hashed(o eventlog.Offset, low int) uint64 {
	x := uint64(o)<<rankBits + uint64(low)
	x ^= 0x4CF2D2BAAE6DA887
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// hashExpression is hashed in SQL.
func hashExpression(low string) string { return "intHash64(bitShiftLeft(`offset`, 20) + " + low + ")" }

// verdict says what the sums of a bucket tell without looking at its rows.
type verdict int

const (
	same verdict = iota
	nothing
	everythingTwice
	lookCloser
)

func judge(want, got sum) verdict {
	switch got {
	case want:
		return same
	case sum{}:
		return nothing
	case want.twice():
		return everythingTwice
	}
	return lookCloser
}
