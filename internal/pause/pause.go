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

// After returns how long to wait after n failures and one more: twice as long each time, from first up to last, give or take a half,
// so that those who failed together do not come back together.
func After(first, last time.Duration, n int) time.Duration {
	wait := last
	if n < 63 && first <= last>>n {
		wait = first << n
	}
	return wait/2 + rand.N(wait+1)
}

// Backoff counts failures for [After], between First and Last. Its zero value is ready; it belongs to one goroutine.
type Backoff struct{ failures int }

// Next returns how long to wait now.
func (b *Backoff) Next() time.Duration {
	b.failures++
	return After(First, Last, b.failures-1)
}

// Wait waits for Next, or until ctx ends.
func (b *Backoff) Wait(ctx context.Context) { For(ctx, b.Next()) }

// Reset makes the next wait the first again, after a success.
func (b *Backoff) Reset() { b.failures = 0 }
