package test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestTenTimesTheLoad sends from ten times as many senders at once as the gateway has room for. How much of the room they fill by
// themselves is for the machine to say; so one that was let in fills it for a while.
func TestTenTimesTheLoad(t *testing.T) {
	const body, room = 32 << 10, 10
	s := up(t, t.TempDir(), "--max-in-flight", "400000", "--confirm", "1m", "--header-timeout", "10m") // so that no wait is an error on a slow machine
	usual := newTraffic(s.Gateway, room, time.Millisecond, body)
	usual.await(t, http.StatusOK, 200)
	usual.stop(t, http.StatusOK) // no load is too much for what there is room for
	before := s.measure()

	slow := s.fill(390_000)
	much := newTraffic(s.Gateway, 10*room, time.Millisecond, body)
	much.await(t, http.StatusTooManyRequests, 500)
	s.flat(before)
	much.note(slow())
	much.await(t, http.StatusOK, 500)
	s.flat(before)
	much.stop(t, http.StatusOK, http.StatusTooManyRequests)
	maps.Copy(much.all, usual.all)
	s.allStored()
	much.check(t, s)
	slices.Sort(much.waits)
	t.Logf("answers %v, p99 of the accepted %s", much.codes, much.waits[len(much.waits)*99/100])
}

// fill begins a request of a size, and returns when the gateway has made room for it. The rest is sent by the returned function, which
// returns the answer.
func (s *system) fill(size int) (finish func() (code int, text []byte, retryAfter bool, took time.Duration)) {
	s.t.Helper()
	begin := time.Now()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.Gateway, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	report := fmt.Sprintf(`{"client":"slow","device":"d","event_id":"slow-%d","readings":{"level":0.25,"count":0,"on":true,"state":"s0"},"padding":"`, begin.UnixNano())
	report += strings.Repeat("x", size-len(report)-2) + `"}`
	fmt.Fprintf(conn, "POST /v1/telemetry?positions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", size)
	s.awaitMetrics("a slow request", func(m measured) bool { return m["fieldlog_gateway_in_flight_requests"] == 1 })
	return func() (int, []byte, bool, time.Duration) {
		s.t.Helper()
		if _, err := io.WriteString(conn, report); err != nil {
			s.t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			s.t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			s.t.Fatal(err)
		}
		return answer.StatusCode, text, answer.Header.Get("Retry-After") != "", time.Since(begin)
	}
}
