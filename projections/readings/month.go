package readings

import (
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// Month is a calendar month in UTC as yyyymm, what ClickHouse's toYYYYMM returns.
type Month uint32

// The times that the tables hold: buckets of rollups are seconds in 32 bits, and packing a reading's rank leaves 52 bits
// for its microseconds.
const (
	MinTime schemas.Time = 0                           // 1970-01-01
	MaxTime schemas.Time = 4_291_747_200*1_000_000 - 1 // the last microsecond of 2105
)

// span is a month and the microseconds it covers: from <= t < until.
type span struct {
	month       Month
	from, until int64
}

func (s *span) holds(t int64) bool { return t >= s.from && t < s.until }

// MonthOf returns the month that holds t.
func MonthOf(t schemas.Time) Month { return spanOf(int64(t)).month }

// spanOf returns the month that holds t.
func spanOf(t int64) span {
	year, month, _ := time.UnixMicro(t).UTC().Date()
	first := time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)
	return span{
		month: Month(year*100 + int(month)),
		from:  first.UnixMicro(),
		until: first.AddDate(0, 1, 0).UnixMicro(),
	}
}
