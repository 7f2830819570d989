package test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestTenTimesTheLoad sends from ten times as many senders at once as the gateway has room for.
func TestTenTimesTheLoad(t *testing.T) {
	const body, room = 32 << 10, 10
	s := up(t, t.TempDir(), "--max-in-flight", "400000", "--confirm", "1m") // so that none gets 503 because this machine is slow
	usual := newTraffic(s.Gateway, room, time.Millisecond, body)
	usual.await(t, http.StatusOK, 200)
	usual.stop(t, http.StatusOK) // no load is too much for what there is room for
	before := s.measure()

	much := newTraffic(s.Gateway, 10*room, time.Millisecond, body)
	much.await(t, http.StatusTooManyRequests, 500)
	s.flat(before)
	much.await(t, http.StatusOK, 500)
	s.flat(before)
	much.stop(t, http.StatusOK, http.StatusTooManyRequests)
	maps.Copy(much.all, usual.all)
	s.allStored()
	much.check(t, s)
	slices.Sort(much.waits)
	t.Logf("answers %v, p99 of the accepted %s", much.codes, much.waits[len(much.waits)*99/100])
}
