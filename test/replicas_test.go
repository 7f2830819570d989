//go:build realengines

package test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/test/engines"
)

// TestTooFewInSyncReplicas kills two of three brokers under load, so that a write cannot have the two replicas it needs.
func TestTooFewInSyncReplicas(t *testing.T) {
	c := engines.StartTest(t, engines.Options{})
	const confirm, senders = 3 * time.Second, 20
	s := up(t, t.TempDir(), "--brokers", strings.Join(c.Brokers(), ","), "--registry", c.Registry(), "--replication", "3", "--confirm", confirm.String())
	r := newTraffic(s.Gateway, senders, 20*time.Millisecond, 0)
	r.await(t, http.StatusOK, 200)
	before := s.measure()

	for _, n := range []int{1, 2} {
		if err := c.Broker(n).Kill(); err != nil {
			t.Fatal(err)
		}
	}
	r.await(t, http.StatusServiceUnavailable, 2*senders)
	s.flat(before)
	for _, n := range []int{1, 2} {
		if err := c.Broker(n).Start(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	r.await(t, http.StatusOK, 200) // without a restart
	r.stop(t, http.StatusOK, http.StatusServiceUnavailable)
	s.allStored()
	r.check(t, s)
	s.flat(before)
	s.stop()
}
