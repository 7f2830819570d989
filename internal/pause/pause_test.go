package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff(t *testing.T) {
	var b Backoff
	for round := range 2 {
		for n, ms := range []int64{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000} {
			full := time.Duration(ms) * time.Millisecond
			if wait := b.Next(); wait < full/2 || wait > full+full/2 {
				t.Errorf("round %d, wait %d: got %s, want %s give or take a half", round, n, wait, full)
			}
		}
		b.Reset()
	}
}

func TestAfterIsBounded(t *testing.T) {
	for n := range 100 {
		if wait := After(time.Minute, time.Hour, n); wait < time.Minute/2 || wait > time.Hour+time.Hour/2 {
			t.Errorf("after %d failures: %s", n, wait)
		}
	}
	if wait := After(time.Minute, time.Second, 3); wait > 2*time.Second {
		t.Errorf("got %s, though the last wait is a second", wait)
	}
}

func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		For(t.Context(), time.Minute)
		if waited := time.Since(begin); waited != time.Minute {
			t.Errorf("waited %s, want a minute", waited)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		For(ctx, time.Hour)
		if waited := time.Since(begin); waited != time.Minute+time.Second {
			t.Errorf("waited %s, want a second more", waited)
		}
	})
}
