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

	sorted bool
	done   int // groups that are in
}

// Store implements eventlog.Storer. A repeated call goes on where the last one failed.
func (s *store) Store(ctx context.Context) error {
	select {
	case s.sink.slots <- struct{}{}:
		defer func() { <-s.sink.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
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
		s.sorted = true
	}
	for ; s.done < rows.Groups(); s.done++ {
		if err := s.insert(ctx, s.group(s.done)); err != nil {
			return fmt.Errorf("store block %s: %w", s.of, err)
		}
	}
	return nil
}

// group returns the i-th insert of the block.
func (s *store) group(i int) clickhouse.InsertOptions {
	rows := &s.block.rows
	if i < len(rows.Readings) {
		return s.readings(rows.Readings[i])
	}
	return s.reports(rows.Reports[i-len(rows.Readings)])
}

func (s *store) insert(ctx context.Context, o clickhouse.InsertOptions) error {
	sent, err := s.sink.ch.Insert(ctx, o)
	if err != nil {
		return err
	}
	s.sink.metrics.bytes.Add(float64(sent))
	s.sink.metrics.inserts.WithLabelValues(o.Table).Inc()
	s.sink.metrics.rows.WithLabelValues(o.Table).Add(float64(o.Rows))
	return nil
}

// token names a group for as long as anybody may insert it again.
func (s *store) token(table string, month readings.Month) string {
	return fmt.Sprintf("g%d-%s:%s:%d:%d-%d:%s:%d",
		s.sink.cfg.Generation, s.of.TopicID, s.of.Topic, s.of.Partition, s.of.First, s.of.Last, table, month)
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
	m.storeTime.Observe(now.Sub(begin).Seconds())
	m.blockRows.Observe(float64(s.block.rows.Rows()))
	if newest := s.block.newest; newest > 0 {
		m.delay.Observe(max(0, now.Sub(newest.Time()).Seconds()))
	}
}
