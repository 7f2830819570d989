package provisioner

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// guarded is a backend behind a breaker, which opens after some failures in a row and then lets one try pass at a time.
type guarded struct {
	backend.Backend
	breaker *gobreaker.TwoStepCircuitBreaker[any]
	metrics *metrics
	rest    time.Duration
}

func newGuarded(b backend.Backend, cfg Config, m *metrics) *guarded {
	g := &guarded{Backend: b, metrics: m, rest: cfg.Break}
	broken := m.broken.WithLabelValues(b.Name())
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
		Name: b.Name(), Timeout: cfg.Break, MaxRequests: 1,
		IsExcluded:   func(err error) bool { return errors.Is(err, errUntried) },
		IsSuccessful: func(err error) bool { return err == nil || errors.Is(err, backend.ErrUnready) },
		ReadyToTrip:  func(c gobreaker.Counts) bool { return int(c.ConsecutiveFailures) >= cfg.BreakAfter },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			broken.Set(0)
			if to != gobreaker.StateClosed {
				broken.Set(1)
			}
		},
	})
	return g
}

// errUntried tells the breaker that the backend was not asked after all, or not to the end.
var errUntried = errors.New("not tried")

// allow tells whether the backend may be asked now. Told must be called with what became of it.
func (g *guarded) allow() (told func(error), ok bool) {
	done, err := g.breaker.Allow()
	return done, err == nil
}

// act does a step, or removes the order. If an earlier try may have acted, it is looked for first.
func (g *guarded) act(ctx context.Context, t task) (outcome string, err error) {
	began := time.Now()
	outcome, err = g.try(ctx, t)
	g.metrics.took.WithLabelValues(g.Name()).Observe(time.Since(began).Seconds())
	return outcome, err
}

func (g *guarded) try(ctx context.Context, t task) (string, error) {
	if t.again && !t.remove {
		done, err := g.Done(ctx, t.order, t.step)
		if err != nil || done {
			return outcomeOf(outcomeFound, err), err
		}
	}
	if t.remove {
		err := g.Remove(ctx, t.order)
		return outcomeOf(outcomeDone, err), err
	}
	err := g.Do(ctx, t.order, t.step)
	return outcomeOf(outcomeDone, err), err
}

func outcomeOf(good string, err error) string {
	var refusal *backend.Refusal
	switch {
	case err == nil:
		return good
	case errors.As(err, &refusal):
		return outcomeRefused
	}
	return outcomeFailed
}
