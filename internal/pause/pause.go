// Package pause waits, between attempts above all.
package pause

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for d, or until ctx ends if that comes first.
func For(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// The bounds of a Backoff's waits, before jitter.
const (
	First = 100 * time.Millisecond
	Last  = 10 * time.Second
)

// Backoff makes waits that double from First up to Last, each between half and one and a half times as long, so that those who
// failed together do not come back together. Its zero value is ready; it belongs to one goroutine.
type Backoff struct{ next time.Duration }

// Next returns how long to wait now.
func (b *Backoff) Next() time.Duration {
	wait := max(b.next, First)
	b.next = min(2*wait, Last)
	return wait/2 + rand.N(wait)
}

// Wait waits for Next, or until ctx ends.
func (b *Backoff) Wait(ctx context.Context) { For(ctx, b.Next()) }

// Reset makes the next wait the first again, after a success.
func (b *Backoff) Reset() { b.next = 0 }
