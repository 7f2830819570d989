// Package run runs the parts of a process together and ends them in order.
//
// Promises:
//
//   - Parts start in the order given; each begins when the one before it is ready.
//   - They end in the opposite order: a part is told to end only when every part after it has ended, so that what feeds is
//     gone before what is fed. Before that, a part may settle: work off what it has been given.
//   - Each part's end is bounded by its Drain; a part that overruns is reported and left behind.
//   - When one part fails, the others end as they would on a signal, and the failure is what [Together] returns.
//   - The first SIGINT or SIGTERM ends the context of [Signals]; the second ends the process at once, with exit code 130.
package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Part is something that runs for as long as the process does.
type Part struct {
	// Name says what it is, for the log.
	Name string
	// Run returns nil once drained after ctx ended. Nil before that means that it has nothing more to do.
	Run func(ctx context.Context) error
	// Ready returns when the next part may start, or with an error that ends everything. Nil: at once. Its ctx ends when the
	// process is to end.
	Ready func(ctx context.Context) error
	// Settle works off what is left before Run is told to end. Nil: nothing to do.
	Settle func(ctx context.Context)
	// Drain bounds Settle, and then the wait for Run to return. Default 15 s.
	Drain time.Duration
}

const defaultDrain = 15 * time.Second

// Together runs the parts until ctx ends or one fails, and returns when all have ended, with every failure.
func Together(ctx context.Context, logger *slog.Logger, parts ...Part) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var started []*running
	var failure error
	for _, p := range parts {
		r := start(ctx, cancel, p)
		started = append(started, r)
		if failure = r.becomeReady(ctx); failure != nil || ctx.Err() != nil {
			break
		}
		logger.Debug("part is ready", "part", p.Name)
	}
	if failure == nil {
		<-ctx.Done()
	}
	logger.Info("draining")
	return errors.Join(failure, end(logger, started))
}

// end ends the parts, last started first.
func end(logger *slog.Logger, started []*running) error {
	var failures []error
	for i := len(started) - 1; i >= 0; i-- {
		begun, before := time.Now(), started[i].hasEnded()
		failures = append(failures, started[i].end())
		if !before {
			logger.Info("part ended", "part", started[i].part.Name, "took", time.Since(begun).Round(time.Millisecond).String())
		}
	}
	return errors.Join(failures...)
}

// running is a part that was started.
type running struct {
	part   Part
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // what Run returned, once ended is closed
}

// start runs a part. Its context is not the process's: the process's end must reach the parts one by one.
func start(ctx context.Context, everything context.CancelFunc, p Part) *running {
	if p.Drain == 0 {
		p.Drain = defaultDrain
	}
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{part: p, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		if r.err = p.Run(own); r.err != nil {
			r.err = fmt.Errorf("run %s: %w", p.Name, r.err)
			everything()
		}
	}()
	return r
}

// becomeReady waits for the part to be ready. That the process is to end meanwhile is no failure.
func (r *running) becomeReady(ctx context.Context) error {
	if r.part.Ready == nil {
		return nil
	}
	ready := make(chan error, 1)
	go func() { ready <- r.part.Ready(ctx) }()
	select {
	case err := <-ready:
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("start %s: %w", r.part.Name, err)
		}
	case <-ctx.Done():
	}
	return nil
}

func (r *running) end() error {
	r.settle()
	r.cancel()
	bound := time.NewTimer(r.part.Drain)
	defer bound.Stop()
	select {
	case <-r.ended:
		return r.err
	case <-bound.C:
	}
	return fmt.Errorf("end %s: it did not drain within %s", r.part.Name, r.part.Drain)
}

func (r *running) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// settle lets a part that still runs work off what is left.
func (r *running) settle() {
	if r.part.Settle == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.part.Drain)
	defer cancel()
	go func() { // what ended by itself cannot settle
		select {
		case <-r.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	r.part.Settle(ctx)
}
