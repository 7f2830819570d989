package test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// keepDown kills the engine as often as it is started, until the returned function is called.
func (s *system) keepDown() (release func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ; ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
			for _, pid := range s.children() {
				_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// burst appends reports as fast as it can, and waits until they are stored. r gets what was acknowledged.
func (s *system) burst(t *testing.T, r *receipts) {
	t.Helper()
	burst := newTraffic(s.Gateway, 32, time.Millisecond, 0)
	burst.await(t, http.StatusOK, 500)
	burst.stop(t, http.StatusOK)
	maps.Copy(r.all, burst.all)
	s.eventually(patience, "SELECT count() FROM fieldlog.readings", fmt.Sprint(4*len(r.all)))
}

// TestClickHouseIsDown kills the engine over and over under load.
func TestClickHouseIsDown(t *testing.T) {
	s := up(t, t.TempDir(), "--block-age", "100ms")
	stored := receipts{all: map[eventlog.Position]string{}}
	s.burst(t, &stored)
	const senders = 4 // each of which fills one partition
	r := newTraffic(s.Gateway, senders, 10*time.Millisecond, 0)
	r.await(t, http.StatusOK, 100)
	before := s.measure()

	release := s.keepDown()
	begin := s.awaitMetrics("stores fail", func(m measured) bool { return m[failures] > before[failures] })
	time.Sleep(6 * time.Second) // there is no event: what counts is how often it tries meanwhile
	end := s.awaitMetrics("the lag grows", func(m measured) bool { return m[lag] > begin[lag] && m[lag] > 0 })
	s.flat(before)
	release()
	attempts := end[failures] - begin[failures]
	if most := 20.0 * senders; attempts > most { // with waits that double about 5 a sender, with equal ones hundreds
		t.Errorf("%v attempts in an outage, want at most %v: it does not back off", attempts, most)
	}
	r.await(t, http.StatusOK, 100)
	r.stop(t, http.StatusOK)
	s.allStored()
	maps.Copy(stored.all, r.all)
	s.burst(t, &stored)
	s.flat(before)
	stored.check(t, s)
	t.Logf("%v failed attempts, a lag of %v", attempts, end[lag])
}

// TestClickHouseIsSlow stops the engine's process, so that it takes connections and answers nothing, and lets it go on.
func TestClickHouseIsSlow(t *testing.T) {
	s := up(t, t.TempDir(), "--block-age", "100ms")
	r := newTraffic(s.Gateway, 4, 10*time.Millisecond, 0)
	s.awaitMetrics("rows are stored", func(m measured) bool { return m["fieldlog_analytics_rows_total"] > 0 })
	before := s.measure()
	for _, pid := range s.children() {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	s.awaitMetrics("the lag grows", func(m measured) bool { return m[lag] > before[lag]+500 })
	s.flat(before)
	for _, pid := range s.children() {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	r.stop(t, http.StatusOK)
	s.allStored()
	r.check(t, s)
}

// switched is an HTTP server between two parties that do not know of it. on changes or ends requests.
type switched struct {
	URL string
	on  atomic.Pointer[func(w http.ResponseWriter, r *http.Request) (done bool)]
}

func newSwitched(t *testing.T, target string) *switched {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	through := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	s := &switched{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if on := s.on.Load(); on != nil && (*on)(w, r) {
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// TestClickHouseIsReadOnly lets ClickHouse refuse every insert as a read-only one does, while a second generation is filled.
func TestClickHouseIsReadOnly(t *testing.T) {
	s := up(t, t.TempDir(), "--block-age", "100ms")
	between := newSwitched(t, s.ClickHouse)
	second := s.beside(map[string]string{"FIELDLOG_CLICKHOUSE": between.URL}, "analytics", "--generation", "2", "--shadow", "--block-age", "100ms", "--metrics-listen", "127.0.0.1:0")
	second.launch()
	r := newTraffic(s.Gateway, 4, 10*time.Millisecond, 0)
	second.awaitMetrics("rows are stored", func(m measured) bool { return m["fieldlog_analytics_rows_total"] > 0 })
	before := second.measure()

	readOnly := func(_ http.ResponseWriter, r *http.Request) bool {
		if query := r.URL.Query(); strings.HasPrefix(query.Get("query"), "INSERT") {
			query.Set("readonly", "1")
			r.URL.RawQuery = query.Encode()
		}
		return false
	}
	between.on.Store(&readOnly)
	second.awaitMetrics("inserts fail", func(m measured) bool { return m[failures] >= before[failures]+10 && m[lag] > 200 })
	second.flat(before)
	if !strings.Contains(second.output(), "readonly mode") {
		t.Errorf("the log does not say why:\n%s", second.output())
	}
	between.on.Store(nil)
	r.stop(t, http.StatusOK)
	for _, table := range []string{"readings_g1", "readings_g2"} { // the gauge of the lag is a second old
		s.eventually(patience, "SELECT count() FROM fieldlog."+table, fmt.Sprint(4*len(r.all)))
	}
	const all = "SELECT count(), uniqExact(partition, `offset`, `index`) FROM fieldlog."
	first := s.query(all + "readings_g1")
	if rows := s.query(all + "readings_g2"); rows[0] != first[0] {
		t.Errorf("stored while read-only came and went: %q, else %q", rows, first)
	}
	r.check(t, s)
}
