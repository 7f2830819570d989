package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gateway stands in for the gateway: it notes what came and answers as told.
type gateway struct {
	mu       sync.Mutex
	lines    []string
	requests int
	token    string
	answer   func(request int, lines []string) (status int, body string)
	enough   func(lines int) bool
	done     context.CancelFunc
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a cut request has fewer lines, which the test sees
	lines := strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")
	g.mu.Lock()
	defer g.mu.Unlock()
	g.token = r.Header.Get("Authorization")
	g.requests++
	status, text := g.answer(g.requests, lines)
	if status < 300 {
		g.lines = append(g.lines, lines...)
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "0")
	}
	w.WriteHeader(status)
	io.WriteString(w, text)
	if g.enough(len(g.lines)) {
		g.done()
	}
}

func accept(_ int, lines []string) (int, string) {
	body := answer{Accepted: len(lines)}
	for i := range lines {
		body.Items = append(body.Items, position{Index: i, Topic: "telemetry", Partition: 3, Offset: int64(i)})
	}
	text, _ := json.Marshal(body)
	return http.StatusOK, string(text)
}

func (g *gateway) serve(t *testing.T, cfg Config) (*Fleet, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g.done = cancel
	server := httptest.NewServer(g)
	defer server.Close()
	cfg.URL = server.URL
	f, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return f, f.Run(ctx)
}

func TestRunSendsEveryDeviceInOrder(t *testing.T) {
	var receipts []Receipt
	var mu sync.Mutex
	g := &gateway{answer: accept, enough: func(lines int) bool { return lines >= 120 }}
	f, err := g.serve(t, Config{Devices: 40, Every: 100 * time.Millisecond, Token: "open", Acknowledged: func(r []Receipt) error {
		mu.Lock()
		defer mu.Unlock()
		receipts = append(receipts, r...)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	last, times := map[string]int64{}, 0
	for _, line := range g.lines {
		var r struct {
			Client, Device string
			Time           int64
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Device == "" || r.Time > time.Now().Add(time.Hour).UnixMilli() {
			continue // the one that misbehaves
		}
		key := r.Client + "/" + r.Device
		if last[key] != 0 && r.Time < last[key]+100 {
			t.Errorf("%s: got a report of %d after one of %d", key, r.Time, last[key])
		}
		last[key] = r.Time
		times++
	}
	counts, err := f.Counts()
	if err != nil {
		t.Fatal(err)
	}
	if counts.Acknowledged != int64(len(g.lines)) || len(receipts) != len(g.lines) || counts.Readings != int64(6*len(g.lines)) {
		t.Errorf("got %+v and %d receipts for %d lines", counts, len(receipts), len(g.lines))
	}
	if len(last) < 35 || counts.P50 <= 0 || g.token != "Bearer open" {
		t.Errorf("got %d devices, latency %s, token %q", len(last), counts.P50, g.token)
	}
	if r := receipts[0]; r.EventID == "" || r.Client == "" || r.Device == "" || r.Topic != "telemetry" || r.Partition != 3 || r.Readings != 6 {
		t.Errorf("got receipt %+v", r)
	}
}

func TestRunSendsAgainOnlyWhatWasNotTaken(t *testing.T) {
	var first []string
	g := &gateway{enough: func(lines int) bool { return lines > 0 }}
	g.answer = func(request int, lines []string) (int, string) {
		if request == 1 {
			first = lines
		}
		if request <= 2 {
			return http.StatusTooManyRequests, ""
		}
		if got, want := strings.Join(lines, "\n"), strings.Join(first, "\n"); request == 3 && got != want {
			t.Errorf("got %s, want the same reports again: %s", got, want)
		}
		return accept(request, lines)
	}
	f, err := g.serve(t, Config{Devices: 3, Every: 50 * time.Millisecond, Connections: 1}) // so that one that is silent now leaves two
	if err != nil {
		t.Fatal(err)
	}
	if counts, _ := f.Counts(); counts.Retries != 2 || counts.Acknowledged != int64(len(g.lines)) {
		t.Errorf("got %+v, want two retries", counts)
	}
}

func TestRunDoesNotRepeatWhatMayBeInTheLog(t *testing.T) {
	seen := map[string]bool{}
	g := &gateway{enough: func(lines int) bool { return lines > 0 }}
	g.answer = func(request int, lines []string) (int, string) {
		for _, line := range lines {
			if seen[line] {
				t.Errorf("got %s again", line)
			}
			seen[line] = true
		}
		if request == 1 {
			return http.StatusServiceUnavailable, "the log did not confirm in time"
		}
		return accept(request, lines)
	}
	f, err := g.serve(t, Config{Devices: 4, Every: 50 * time.Millisecond, Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	if counts, _ := f.Counts(); counts.Unanswered == 0 || counts.Acknowledged == 0 {
		t.Errorf("got %+v, want unanswered and acknowledged reports", counts)
	}
}

// called is a log that is told when something is logged.
type called func()

func (c called) Write(line []byte) (int, error) { c(); return len(line), nil }

func TestRunWaitsForAGatewayThatIsNotThereYet(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const nobody = "http://127.0.0.1:1"                          // no test is given that port
	logger := slog.New(slog.NewTextHandler(called(cancel), nil)) // which is told that it tries again
	f, err := New(Config{URL: nobody, Devices: 3, Every: 10 * time.Millisecond, Connections: 1}, logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if counts, _ := f.Counts(); counts.Unanswered != 0 || counts.Unsent == 0 || counts.Retries == 0 {
		t.Errorf("got %+v, want retries, and reports that stayed here", counts)
	}
}

func TestRunCountsRefusals(t *testing.T) {
	g := &gateway{enough: func(lines int) bool { return lines > 3 }}
	g.answer = func(request int, lines []string) (int, string) {
		_, text := accept(request, lines)
		body := answer{}
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Error(err)
		}
		body.Items, body.Errors = body.Items[1:], []refusal{{Index: 0, Field: "time", Reason: "in the future"}}
		body.Accepted, body.Refused = body.Accepted-1, 1
		changed, _ := json.Marshal(body)
		return http.StatusMultiStatus, string(changed)
	}
	f, err := g.serve(t, Config{Devices: 4, Every: 20 * time.Millisecond, Connections: 1})
	if err != nil {
		t.Fatal(err)
	}
	if counts, _ := f.Counts(); counts.Refused != int64(g.requests) || counts.Acknowledged != int64(len(g.lines)-g.requests) {
		t.Errorf("got %+v after %d requests, want one refusal each", counts, g.requests)
	}
}

func TestRunEndsWhenReceiptsCannotBeKept(t *testing.T) {
	full := fmt.Errorf("disk is full")
	g := &gateway{answer: accept, enough: func(int) bool { return false }}
	_, err := g.serve(t, Config{Devices: 2, Every: 20 * time.Millisecond, Acknowledged: func([]Receipt) error { return full }})
	if err == nil || !strings.Contains(err.Error(), "disk is full") {
		t.Errorf("got %v, want why it ended", err)
	}
}

func TestSources(t *testing.T) {
	f, err := New(Config{URL: "http://localhost", Devices: 20, Every: 2 * time.Second, History: 3 * time.Hour}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("history ends and covers every minute of every device", func(t *testing.T) {
		past, seen, now := f.past(noon), map[string]bool{}, noon
		for !now.IsZero() {
			var batch []report
			batch, now = past.next(nil, now)
			for _, r := range batch {
				seen[string(r.eventID(nil))] = true
			}
			if len(batch) > maxReports {
				t.Fatalf("got %d reports at once", len(batch))
			}
		}
		if full := 19 * 180; len(seen) > full || len(seen) < full*95/100 {
			t.Errorf("got %d reports, want about %d without outages", len(seen), full)
		}
	})
	t.Run("what is too late is left out", func(t *testing.T) {
		live := f.live(noon, 0)
		if batch, _ := live.next(nil, noon.Add(2*time.Hour)); len(batch) == 0 || noon.Add(2*time.Hour).Sub(batch[0].due) > 30*time.Second {
			t.Errorf("got %d reports, the first due at %v", len(batch), batch)
		}
		if late := live.missed(); late < 10*3500 || live.missed() != 0 {
			t.Errorf("got %d missed", late)
		}
	})
}

func TestValidate(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		_, err := New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", cfg, err, want)
		}
	}
	f(Config{URL: "localhost:8080", Devices: 1}, "http://host:port")
	f(Config{URL: "http://localhost:8080"}, "at least one device")
	f(Config{URL: "http://localhost:8080", Devices: 1, Every: -1}, "not negative")
}

func TestRepliesAreChecked(t *testing.T) {
	f := func(status int, body string, again, ok bool) {
		t.Helper()
		r, err := readReply(status, time.Second, []byte(body))
		if (err == nil) != ok || r.tryAgain() != again || r.retryAfter != time.Second {
			t.Errorf("%d %s: got %+v, %v, want to try again %v, no error %v", status, body, r, err, again, ok)
		}
	}
	f(200, `{"accepted":1}`, false, true)
	f(207, `{"accepted":1,"refused":1,"errors":[{"index":0}]}`, false, true)
	f(400, `{"title":"Bad Request","refused":1}`, false, true)
	f(200, `<html>`, false, false)
	f(429, `{}`, true, true)
	f(503, `{}`, false, false)
	f(401, `{}`, false, false)
	if _, err := receiptsOf(make([]report, 2), []position{{Index: 2}}); err == nil {
		t.Error("got no error for an item that was not sent")
	}
}
