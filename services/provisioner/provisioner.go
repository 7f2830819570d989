// Package provisioner makes what clients ordered come true: it reads the registrar's facts, acts on a backend step by step,
// and tells how it goes.
//
// # Promises
//
//   - Each effect happens once. An act that may have happened is looked for before it is tried again; acts are idempotent besides.
//   - What is to be done follows from the log alone (package projections/provisioning). Offsets of a group decide nothing: when they
//     are lost, or the whole history is read again, nothing is done twice.
//   - A client's orders are worked on one after the other, in the order in which they were asked for; a failing one holds up
//     that client alone. Clients are worked on at the same time, at most Config.Workers of them.
//   - A failed step is tried again after a wait that doubles, with jitter, at most Config.Attempts times; then the order is
//     abandoned, until somebody changes, cancels or retries it. What the backend refuses is abandoned at once. With each
//     abandonment a notification is appended, in the same transaction, for whoever tells people.
//   - A backend that fails for everybody is left alone for a while (a breaker), without counting tries.
//
// # What happens to a step, and what a crash leaves behind
//
// One process at a time may append for a partition: it holds the transaction id "provisioner-<partition>", and whoever held
// it before is fenced (package eventlog, Transactor).
//
//  1. The intent is appended to the ledger, committed. Crash before: nothing happened; the next owner begins anew.
//  2. The backend acts. Crash before, while or after: the next owner finds an intent without an outcome, and asks the
//     backend whether the effect is there. If it is, step 3 follows, else step 1 of the next try.
//  3. The outcome and the fact that tells of it are appended in one transaction, with the intent of the step that follows.
//     Crash before its commit: as in 2. After it: the next owner knows.
//
// An owner that was stopped and wakes up may finish an act it had begun, beside the new owner's: that is why acts must be
// idempotent. It can begin no other, since its intents are refused.
package provisioner

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/pause"
)

// Service provisions orders.
type Service struct {
	cfg      Config
	log      *eventlog.Log
	logger   *slog.Logger
	metrics  *metrics
	backends map[string]*guarded
	slots    chan struct{} // one taken by each act under way
	ready    atomic.Bool
}

// New returns a Service that has not connected to anything yet.
func New(cfg Config, log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, log: log, logger: logger, metrics: newMetrics(reg), slots: make(chan struct{}, cfg.Workers), backends: map[string]*guarded{}}
	for _, b := range cfg.Backends {
		s.backends[b.Name()] = newGuarded(b, cfg, s.metrics)
	}
	return s, nil
}

// Run provisions until ctx ends, then lets acts under way finish within the drain time and returns nil. While the log is away it
// tries again.
func (s *Service) Run(ctx context.Context) error {
	var retry pause.Backoff
	for ctx.Err() == nil {
		began := time.Now()
		if err := s.session(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("will begin anew", "error", err)
			s.metrics.sessions.Inc()
		}
		if time.Since(began) > pause.Last {
			retry.Reset()
		}
		retry.Wait(ctx)
	}
	return nil
}

// session is one membership in the group. It ends with ctx, or when the group or the news fail.
func (s *Service) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	crowd, err := newCrowd(ctx, s.log)
	if err != nil {
		return err
	}
	followed := make(chan error, 1)
	go func() {
		err := crowd.follow(ctx)
		cancel(err) // without news nobody can go on
		followed <- err
	}()
	s.ready.Store(true)
	defer s.ready.Store(false)
	err = s.log.Share(ctx, s.cfg.Group, eventlog.TopicClients, func(ctx context.Context, p eventlog.Partition) error {
		s.own(ctx, crowd, p)
		return nil
	})
	cancel(nil)
	return errors.Join(err, <-followed)
}

// Ready returns nil while orders are being provisioned.
func (s *Service) Ready(context.Context) error {
	if !s.ready.Load() {
		return errors.New("the provisioner has not joined its group yet")
	}
	return nil
}

// fencedWait is how much longer an owner that was fenced waits before it takes its partition over again: the group should say
// meanwhile who has it. The brokers fence not only whom another owner followed, but also who was too slow.
const fencedWait = 5 * time.Second

// own provisions the orders of one partition until ctx ends. What fails there is begun anew there: the others go on.
func (s *Service) own(ctx context.Context, c *crowd, p eventlog.Partition) {
	var retry pause.Backoff
	for ctx.Err() == nil {
		began := time.Now()
		err := s.hold(ctx, c, p)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > pause.Last {
			retry.Reset()
		}
		s.metrics.lost.Inc()
		s.logger.Warn("will take the partition over anew unless the group gives it away", "partition", p, "error", err)
		wait := retry.Next()
		if errors.Is(err, eventlog.ErrFenced) {
			wait += fencedWait
		}
		pause.For(ctx, wait)
	}
}

// hold provisions the orders of one partition until ctx ends or the first failure.
func (s *Service) hold(ctx context.Context, c *crowd, p eventlog.Partition) error {
	o := newOwner(s, p)
	c.tell(p, o.news)
	defer c.tell(p, nil)
	if err := o.takeOver(ctx); err != nil {
		return fmt.Errorf("take over partition %d: %w", p, err)
	}
	defer o.close()
	return o.run(ctx)
}
