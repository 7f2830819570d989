package main

//	the parts that several commands wire: set up the log, wait for readiness, announce it

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/obs"
	"github.com/fieldlog/fieldlog/internal/run"
)

// The share of free memory that a service's heap may grow to before it is collected harder, and how far it grows between
// collections until then. A heap that may only double is collected too often at full load.
const (
	heapGrowth = 300 // percent
	heapShare  = 0.5
)

// tune sets the garbage collector for services, unless GOGC or GOMEMLIMIT say otherwise.
func (p *program) tune() {
	if _, set := p.lookup("GOGC"); !set {
		debug.SetGCPercent(heapGrowth)
	}
	if _, set := p.lookup("GOMEMLIMIT"); set {
		return
	}
	if free, known := freeMemory(); known {
		debug.SetMemoryLimit(int64(float64(free) * heapShare))
	}
}

// closing closes what nothing depends on any more.
func closing(c io.Closer, logger *slog.Logger) {
	if err := c.Close(); err != nil {
		logger.Warn("closing failed", "error", err)
	}
}

// setUp creates topics and registers schemas before the next part starts.
func setUp(log *eventlog.Log) run.Part {
	return run.Part{
		Name:  "log",
		Run:   func(ctx context.Context) error { <-ctx.Done(); return nil },
		Ready: log.Setup,
	}
}

// announce runs a function once the parts before it are ready.
func announce(tell func()) run.Part {
	return run.Part{Name: "announcement", Run: func(context.Context) error { tell(); return nil }}
}

// whenReady asks until the answer is nil or ctx ends.
func whenReady(ready func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ready(ctx) != nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-tick.C:
			}
		}
		return nil
	}
}

// caughtUp returns when nothing lags behind, or ctx ends.
func caughtUp(lag func() int64) func(context.Context) {
	return func(ctx context.Context) {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for lag() > 0 {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// service is what a process runs, once the log is set up.
type service interface {
	Run(ctx context.Context) error
	Ready(ctx context.Context) error
}

// alone runs one service as a process of its own, with its health and metrics on an address.
func (p *program) alone(ctx context.Context, name string, l *logFlags, listen string, open func(*eventlog.Log, *slog.Logger, prometheus.Registerer) (service, error)) error {
	p.tune()
	logger, err := p.serviceLogger(p.stdout)
	if err != nil {
		return err
	}
	reg := obs.NewRegistry()
	log, err := l.new(logger, reg)
	if err != nil {
		return err
	}
	defer log.Close()
	served, err := open(log, logger, reg)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w; change --metrics-listen", err)
	}
	checks := []obs.Check{{Name: "log", Ready: log.Ready}, {Name: name, Ready: served.Ready}}
	return run.Together(ctx, logger,
		run.Part{Name: "metrics", Run: func(ctx context.Context) error {
			return obs.Serve(ctx, listener, obs.Mux(reg, checks...), logger)
		}},
		setUp(log),
		run.Part{Name: name, Run: served.Run, Ready: whenReady(served.Ready)},
		announce(func() { logger.Info("ready", "metrics", listener.Addr().String()) }),
	)
}
