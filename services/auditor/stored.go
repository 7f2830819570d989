package auditor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// stored asks ClickHouse for sums of rows, and for no rows, except those of duplicates and copies.
type stored struct {
	ch     *clickhouse.Client
	tables Tables
	id     eventlog.TopicID
}

// table is one that is compared: readings, reports, or duplicates.
type table struct {
	name string // for people
	from string
	low  string // the column that makes a row's rank unique within its offset
	time string // the column that retention counts from
	keep time.Time
}

func (s *stored) readings() table {
	return table{name: "readings", from: s.tables.Readings, low: "`index`", time: "time", keep: s.tables.ReadingsFrom}
}

func (s *stored) reports() table {
	return table{name: "reports", from: s.tables.Reports, low: "readings", time: "received_time", keep: s.tables.ReportsFrom}
}

// where selects the rows of ranges that retention has left alone.
func (s *stored) where(t table, ranges map[eventlog.Partition]eventlog.Range) string {
	var parts []string
	for p, r := range ranges {
		if r.First < r.Next {
			parts = append(parts, fmt.Sprintf("(partition = %d AND `offset` >= %d AND `offset` < %d)", p, r.First, r.Next))
		}
	}
	text := "topic_id = " + clickhouse.Quote(s.id.String()) + " AND (" + strings.Join(parts, " OR ") + ")"
	if !t.keep.IsZero() {
		text += fmt.Sprintf(" AND %s >= fromUnixTimestamp64Micro(toInt64(%d), 'UTC')", t.time, t.keep.UnixMicro())
	}
	return text
}

// sums returns the sum of each bucket that has rows.
func (s *stored) sums(ctx context.Context, t table, ranges map[eventlog.Partition]eventlog.Range) (map[place]sum, error) {
	query := fmt.Sprintf("SELECT partition, toUInt64(bitShiftRight(`offset`, %d)) AS bucket, count(), sum(%s) FROM %s WHERE %s GROUP BY partition, bucket",
		bucketBits, hashExpression(t.low), t.from, s.where(t, ranges))
	rows, err := s.ch.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("ask for sums of %s: %w", t.name, err)
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	found := map[place]sum{}
	for rows.Next() {
		var partition uint32
		var bucket uint64
		var row sum
		if err := rows.Scan(&partition, &bucket, &row.rows, &row.hash); err != nil {
			return nil, fmt.Errorf("read sums of %s: %w", t.name, err)
		}
		found[place{eventlog.Partition(partition), int64(bucket)}] = row
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read sums of %s: %w", t.name, err)
	}
	return found, nil
}

// tally is what a table has of one offset.
type tally struct {
	sum
	distinct uint64
}

// offsets returns what the table has of each offset of ranges.
func (s *stored) offsets(ctx context.Context, t table, ranges map[eventlog.Partition]eventlog.Range) (map[position]tally, error) {
	query := fmt.Sprintf("SELECT partition, `offset`, count(), sum(%s), uniqExact(%s) FROM %s WHERE %s GROUP BY partition, `offset`",
		hashExpression(t.low), t.low, t.from, s.where(t, ranges))
	rows, err := s.ch.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("ask for the offsets of %s: %w", t.name, err)
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	found := map[position]tally{}
	for rows.Next() {
		var partition uint32
		var offset uint64
		var row tally
		if err := rows.Scan(&partition, &offset, &row.rows, &row.hash, &row.distinct); err != nil {
			return nil, fmt.Errorf("read the offsets of %s: %w", t.name, err)
		}
		found[position{eventlog.Partition(partition), eventlog.Offset(offset)}] = row
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the offsets of %s: %w", t.name, err)
	}
	return found, nil
}

// position is an offset of a partition.
type position struct {
	partition eventlog.Partition
	offset    eventlog.Offset
}
