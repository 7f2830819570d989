package analytics

import (
	"context"
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/readings"
)

// classLog is the class of a failure to append dead letters.
const classLog clickhouse.Class = "log"

// store stores one sealed block.
type store struct {
	sink  *sink
	of    eventlog.Block
	block *block

	sorted  bool
	done    int  // inserts that are in
	doubted bool // an insert failed: what became of it is not known
}

// Store implements eventlog.Storer. A repeated call goes on where the last one failed.
func (s *store) Store(ctx context.Context) error {
	if err := s.sink.enter(ctx); err != nil {
		return err
	}
	defer s.sink.leave()
	begin := time.Now()
	if err := s.insertAll(ctx); err != nil {
		s.sink.metrics.failures.WithLabelValues(string(clickhouse.ClassOf(err))).Inc()
		return err
	}
	if err := s.bury(ctx); err != nil {
		s.sink.metrics.failures.WithLabelValues(string(classLog)).Inc()
		return err
	}
	s.count(begin)
	s.block.reset()
	s.sink.free.Put(s.block)
	return nil
}

func (s *store) insertAll(ctx context.Context) error {
	rows := &s.block.rows
	if !s.sorted {
		rows.Sort()
		rows.Summarize(readings.Source{Name: s.source(), Partition: uint32(s.of.Partition), Last: int64(s.of.Last)})
		s.sorted = true
	}
	for ; s.done < s.inserts(); s.done++ {
		o := s.group(s.done)
		if o.Rows == 0 {
			continue // readings that are all texts have no rollups
		}
		if err := s.insert(ctx, o); err != nil {
			return fmt.Errorf("store block %s: %w", s.of, err)
		}
	}
	return nil
}

// perMonth is the number of tables that a month's readings go to.
const perMonth = 5

// inserts returns the number of inserts that the block takes at most.
func (s *store) inserts() int {
	rows := &s.block.rows
	return perMonth*len(rows.Readings) + len(rows.Reports) + len(rows.Duplicates)
}

// group returns the i-th insert of the block. Each is one table and one month.
func (s *store) group(i int) group {
	rows := &s.block.rows
	if report := i - perMonth*len(rows.Readings); report >= len(rows.Reports) {
		return s.duplicates(rows.Duplicates[report-len(rows.Reports)])
	} else if report >= 0 {
		return s.reports(rows.Reports[report])
	}
	c := rows.Readings[i/perMonth]
	switch i % perMonth {
	case 0:
		return s.rollup("readings_1m", c, &c.Summary.Minutes)
	case 1:
		return s.rollup("readings_1h", c, &c.Summary.Hours)
	case 2:
		return s.rollup("readings_1d", c, &c.Summary.Days)
	case 3:
		return s.devices(c)
	default:
		return s.readings(c) // last: who sees a reading finds it in its rollups
	}
}

// token names a group for as long as anybody may insert it again.
func (s *store) token(table string, month readings.Month) string {
	return fmt.Sprintf("g%d-%s:%d-%d:%s:%d", s.sink.cfg.Generation, s.source(), s.of.First, s.of.Last, table, month)
}

// source names the partition that the block is from.
func (s *store) source() string {
	return fmt.Sprintf("%s:%s:%d", s.of.TopicID, s.of.Topic, s.of.Partition)
}

func (s *store) bury(ctx context.Context) error {
	if len(s.block.letters) == 0 {
		return nil
	}
	left, err := s.sink.send(ctx, s.block.letters)
	s.block.letters = left
	return err
}

func (s *store) count(begin time.Time) {
	m, now := s.sink.metrics, time.Now()
	m.blocks.Inc()
	if s.of.Again {
		m.again.Inc()
	}
	for _, group := range s.block.rows.Duplicates {
		m.duplicates.Add(float64(group.Rows()))
	}
	m.storeTime.Observe(now.Sub(begin).Seconds())
	m.blockRows.Observe(float64(s.block.rows.Rows()))
	if newest := s.block.newest; newest > 0 {
		m.delay.Observe(max(0, now.Sub(newest.Time()).Seconds()))
	}
}
