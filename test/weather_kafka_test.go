package test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/freeport"
)

// steady returns flags that have each system of a folder listen at the same addresses.
func steady(t *testing.T) []string {
	t.Helper()
	free, err := freeport.Addresses(t.Context(), 3)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"--kafka-listen", free[0], "--registry-listen", free[1], "--clickhouse-listen", free[2]}
}

// TestKafkaIsAway has a gateway of its own beside the system that holds the brokers, which is stopped, so that it takes connections
// and answers nothing, then goes on, then is killed, so that connections are refused, and comes back.
func TestKafkaIsAway(t *testing.T) {
	addresses := steady(t)
	s := up(t, t.TempDir(), addresses...)
	const confirm, senders = 2 * time.Second, 50
	door := s.beside(nil, "gateway", "--listen", "127.0.0.1:0", "--confirm", confirm.String())
	door.launch()
	r := newTraffic(door.Gateway, senders, 20*time.Millisecond, 0)
	r.await(t, http.StatusOK, 100)
	before := door.measure()

	s.signal(syscall.SIGSTOP)
	r.await(t, http.StatusServiceUnavailable, 2*senders) // everybody came again
	door.flat(before)
	s.signal(syscall.SIGCONT)
	r.await(t, http.StatusOK, 100) // without a restart

	s.kill()
	r.await(t, http.StatusServiceUnavailable, senders)
	door.flat(before)
	again := up(t, s.dir, addresses...)
	r.await(t, http.StatusOK, 100)
	r.stop(t, http.StatusOK, http.StatusServiceUnavailable)
	if limit := confirm + 30*time.Second; r.longest > limit { // what is over the confirmation time is this machine's load
		t.Errorf("an answer took %s, want at most %s", r.longest, limit)
	}
	door.stop()
	again.allStored()
	r.check(t, again)
	again.stop()
}

// TestTheRegistryIsAway puts a switch before the registry, and a gateway and a second generation behind the switch.
func TestTheRegistryIsAway(t *testing.T) {
	s := up(t, t.TempDir())
	between := newSwitched(t, s.Registry)
	instead := map[string]string{"FIELDLOG_REGISTRY": between.URL}
	door := s.beside(instead, "gateway", "--listen", "127.0.0.1:0")
	door.launch()
	second := s.beside(instead, "analytics", "--generation", "2", "--shadow", "--metrics-listen", "127.0.0.1:0")
	second.launch()
	r := newTraffic(door.Gateway, 4, 20*time.Millisecond, 0)
	second.awaitMetrics("rows are stored", func(m measured) bool { return m["fieldlog_analytics_rows_total"] > 0 })

	away := func(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) } // the connection is cut
	between.on.Store(&away)
	stored := second.measure()["fieldlog_analytics_rows_total"]
	second.awaitMetrics("rows are stored without a registry", func(m measured) bool { return m["fieldlog_analytics_rows_total"] > stored+1000 })

	late := s.beside(instead, "gateway", "--listen", "127.0.0.1:0")
	ready := late.begin()
	late.says("the log is not there yet", 3) // it tries again, and does not end
	select {
	case <-ready:
		t.Error("a gateway is ready without a registry")
	case <-late.ended:
		t.Errorf("a gateway ended without a registry: %v", late.err)
	default:
	}
	between.on.Store(nil)
	select {
	case <-ready:
	case <-time.After(time.Minute):
		t.Errorf("a gateway did not become ready when the registry did:\n%s", late.output())
	}
	r.stop(t, http.StatusOK)
	late.stop()
	door.stop()
	second.allStored()
	s.allStored()
	r.check(t, s)
}

// says waits until a message was logged so many times.
func (s *system) says(message string, times int) {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); strings.Count(s.output(), message) < times; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("it did not say %q %d times:\n%s", message, times, s.output())
		}
	}
}
