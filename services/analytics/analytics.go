package analytics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/pause"
)

// Service fills the tables of one generation from the log.
type Service struct {
	cfg     Config
	log     *eventlog.Log
	ch      *clickhouse.Client
	logger  *slog.Logger
	metrics *metrics
	blocks  []*eventlog.Blocks
	ready   atomic.Bool
}

// New returns a Service that has not connected to anything yet.
func New(cfg Config, log *eventlog.Log, ch *clickhouse.Client, logger *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	return newService(cfg, log, ch, ch, logger, reg)
}

// newService lets a test stand between the sink and ClickHouse.
func newService(cfg Config, log *eventlog.Log, ch *clickhouse.Client, into tables, logger *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, log: log, ch: ch, logger: logger, metrics: newMetrics(reg)}
	fill := newSink(cfg, log, into, s.metrics)
	if err := s.read(eventlog.TopicTelemetry, GroupOf(cfg), fill); err != nil {
		return nil, err
	}
	for _, topic := range orderTopics() {
		if err := s.read(topic, GroupOf(cfg)+"-"+eventlog.Group(topic), orderSink{fill}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// read adds a topic to what is stored.
func (s *Service) read(topic eventlog.Topic, group eventlog.Group, into eventlog.Sink) error {
	cfg := s.cfg
	blocks, err := s.log.Blocks(eventlog.BlockOptions{
		Group:    group,
		Topic:    topic,
		MaxRows:  cfg.MaxRows,
		MaxBytes: cfg.MaxBytes,
		MaxAge:   cfg.MaxAge,
		Drain:    cfg.Drain,

		SessionTimeout: cfg.SessionTimeout,
	}, into)
	if err != nil {
		return fmt.Errorf("make analytics: %w", err)
	}
	s.blocks = append(s.blocks, blocks)
	return nil
}

// GroupOf returns the consumer group that reads telemetry for a generation: offsets belong to the tables they are the progress
// of.
func GroupOf(cfg Config) eventlog.Group {
	cfg = cfg.withDefaults()
	if cfg.Generation == 1 {
		return cfg.Group
	}
	return eventlog.Group(tableOf(string(cfg.Group), cfg.Generation))
}

// Run makes the tables, then stores what is reported until ctx ends. It returns nil once the blocks that were being stored
// are done.
func (s *Service) Run(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	defer s.ready.Store(false)
	group, ctx := errgroup.WithContext(ctx)
	for _, blocks := range s.blocks {
		group.Go(func() error { return blocks.Run(ctx) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("run analytics: %w", err)
	}
	return nil
}

// Ready returns nil while rows are being stored.
func (s *Service) Ready(ctx context.Context) error {
	if !s.ready.Load() {
		return errors.New("analytics has not made its tables yet")
	}
	return s.ch.Ready(ctx)
}

// Lag returns how many records of the partitions this process owns are not stored yet.
func (s *Service) Lag() (lag int64) {
	for _, blocks := range s.blocks {
		lag += blocks.Lag()
	}
	return lag
}

// prepare makes the tables. While ClickHouse is away it tries again; what ClickHouse refuses is returned.
func (s *Service) prepare(ctx context.Context) error {
	var retry pause.Backoff
	for ctx.Err() == nil {
		err := schema{cfg: s.cfg, ch: s.ch}.apply(ctx)
		if err == nil {
			s.ready.Store(true)
			s.metrics.schemaReady.Set(1)
			return nil
		}
		class := clickhouse.ClassOf(err)
		if class == clickhouse.Refused || class == clickhouse.Denied {
			return fmt.Errorf("make the tables: %w", err)
		}
		s.logger.Warn("cannot make the tables yet", "class", class, "error", err)
		s.metrics.failures.WithLabelValues(string(class)).Inc()
		retry.Wait(ctx)
	}
	return nil
}
