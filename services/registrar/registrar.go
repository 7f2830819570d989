// Package registrar is the one that decides: it folds what clients ask for into facts, and both facts and provisioning into the
// latest state of each client.
//
// # Promises
//
//   - An input is decided once. Its facts and the client's new state are appended in one transaction, by the only process that
//     owns the partition; see package eventlog's Process for the protocol and what each crash leaves behind.
//   - Every input is answered: by facts, or by a fact that it was rejected and why. One that was told before changes nothing.
//   - The decision is a pure function of state and input (package clients). Facts have no clock in them.
//   - The state on topic client-state is the fold of everything before the offsets it tells.
//   - What is no input, or names no client, goes to the dead letters in the same transaction; it holds nothing up.
//   - Memory holds the state of each client of the partitions this process owns: about 1 KiB and 0.7 KiB an order, at most
//     1 MB a client. More processes share the partitions, and the memory.
package registrar

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Service decides what comes of orders.
type Service struct {
	cfg     Config
	log     *eventlog.Log
	logger  *slog.Logger
	metrics *metrics
	process *eventlog.Process
	host    string
	running atomic.Bool
}

// New returns a Service that has not connected to anything yet.
func New(cfg Config, log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, log: log, logger: logger, metrics: newMetrics(reg)}
	s.host, _ = os.Hostname() // empty when unknown
	var err error
	s.process, err = log.Process(eventlog.ProcessOptions{
		Group:      cfg.Group,
		Owner:      cfg.Owner,
		Inputs:     []eventlog.Topic{eventlog.TopicOrders, eventlog.TopicProvisioning},
		State:      eventlog.TopicClientState,
		MaxRecords: cfg.MaxRecords,
		Open:       func(p eventlog.Partition) eventlog.Processor { return newClerk(s, p) },
	})
	if err != nil {
		return nil, fmt.Errorf("make registrar: %w", err)
	}
	return s, nil
}

// Run decides until ctx ends, and returns nil once the transactions under way have ended.
func (s *Service) Run(ctx context.Context) error {
	s.running.Store(true)
	defer s.running.Store(false)
	return s.process.Run(ctx)
}

// Ready returns nil while orders are being decided.
func (s *Service) Ready(context.Context) error {
	if !s.running.Load() {
		return errors.New("the registrar does not run yet")
	}
	return nil
}

// Lag returns how many records of the partitions this process owns are not decided or folded yet.
func (s *Service) Lag() int64 { return s.process.Lag() }
