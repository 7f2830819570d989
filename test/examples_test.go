package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// read is a record as the gateway hands it out.
type read struct {
	Partition, Offset int
	Headers           map[string]string
	Event             struct {
		Readings readings
	}
}

// readings are those of a report; other events have other members of that name.
type readings []struct {
	Metric string
	Value  any
}

// UnmarshalJSON takes what is an array.
func (r *readings) UnmarshalJSON(text []byte) error {
	if text[0] != '[' {
		return nil
	}
	return json.Unmarshal(text, (*[]struct {
		Metric string
		Value  any
	})(r))
}

// records reads a topic to its end, over HTTP.
func (s *system) records(topic string) (all []read) {
	s.t.Helper()
	resp, err := http.Get(s.Gateway + "/v1/topics/" + topic + "/events")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var r read
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			s.t.Fatalf("%s: %v", lines.Text(), err)
		}
		all = append(all, r)
	}
	if err := lines.Err(); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("read %s: %d %v", topic, resp.StatusCode, err)
	}
	return all
}

// lag returns how many records of telemetry a group has not acknowledged.
func (s *system) lag(group string) int {
	s.t.Helper()
	resp, err := http.Get(s.Gateway + "/v1/topics/telemetry/groups/" + group)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct{ Lag int }{-1}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Lag < 0 {
		s.t.Fatalf("got %d %v", resp.StatusCode, err)
	}
	return answer.Lag
}

// report sends so many reports of different devices, whose temperatures go from 0 to 99.
func (s *system) report(n int) {
	s.t.Helper()
	var body strings.Builder
	for i := range n {
		fmt.Fprintf(&body, `{"client":"c%d","device":"d%d","readings":{"temperature":%d.5,"state":"ok"}}`+"\n", i%5, i%40, i%100)
	}
	if status, text := s.post("/v1/telemetry", "application/x-ndjson", body.String()); status != http.StatusOK {
		s.t.Fatalf("got %d %s", status, text)
	}
}

// worker starts an example. It and what it starts end with kill -9.
func (s *system) worker(gateway string, command ...string) (kill func()) {
	s.t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "FIELDLOG_URL="+gateway, "FIELDLOG_REGISTRY="+s.Registry)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	killed := false
	kill = func() {
		if killed {
			return
		}
		killed = true
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if err := cmd.Wait(); err != nil && !strings.Contains(err.Error(), "killed") {
			s.t.Errorf("%q ended by itself: %v\n%s", command, err, complaint.String())
		}
	}
	s.t.Cleanup(kill)
	return kill
}

// until asks until the answer is yes.
func (s *system) until(what string, yes func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !yes(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// needs skips the test where a program is missing; in CI that is a failure.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing", p)
			}
			t.Skipf("%s is missing", p)
		}
	}
}

// example is a worker, and what it must do with a record of telemetry.
type example struct {
	group   string
	command []string
	source  string // of its events
	topic   string // of its events
	id      func(read) string
}

// killed runs an example behind a proxy that kills it when it is about to acknowledge for the third time: what it appended is in
// the log then, and the group does not know. It starts the example again and returns when nothing is left to do.
func (e example) killed(s *system) {
	s.t.Helper()
	gateway, err := url.Parse(s.Gateway)
	if err != nil {
		s.t.Fatal(err)
	}
	forward, died := httputil.NewSingleHostReverseProxy(gateway), make(chan struct{})
	forward.ErrorLog = log.New(io.Discard, "", 0) // clients that die are the point
	var acks atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/ack") && acks.Add(1) == 3 {
			close(died)
			<-r.Context().Done() // its connection is gone, and so is it
			return
		}
		forward.ServeHTTP(w, r)
	}))
	defer proxy.CloseClientConnections()
	kill := s.worker(proxy.URL, e.command...)
	select {
	case <-died:
	case <-time.After(2 * time.Minute):
		s.t.Fatalf("%s did not get to its third acknowledgement", e.group)
	}
	kill()
	left := s.lag(e.group)
	kill = s.worker(proxy.URL, e.command...)
	s.until(e.group+" has done everything", func() bool { return s.lag(e.group) == 0 })
	kill()
	s.t.Logf("%s was killed with %d records to go", e.group, left)
}

// check compares the ids of what the example appended with those it should have.
func (e example) check(s *system) {
	s.t.Helper()
	want := map[string]bool{}
	for _, r := range s.records("telemetry") {
		if id := e.id(r); id != "" {
			want[id] = true
		}
	}
	got, twice := map[string]bool{}, 0
	for _, r := range s.records(e.topic) {
		if id := r.Headers["ce_id"]; r.Headers["ce_source"] == e.source {
			if got[id] {
				twice++
			}
			got[id] = true
			if !want[id] {
				s.t.Errorf("%s appended %q, which nothing calls for", e.group, id)
			}
		}
	}
	if len(got) != len(want) || len(want) == 0 {
		s.t.Errorf("%s appended %d different events, want %d", e.group, len(got), len(want))
	}
	if e.topic == "events" && twice == 0 { // of telemetry the gateway recognises what it has
		s.t.Errorf("%s appended nothing twice, so the kill did not come between appending and acknowledging", e.group)
	}
	s.t.Logf("%s: %d events, %d of them appended twice", e.group, len(got), twice)
}

// hottest returns the highest temperature of a report; ok is false where it has none.
func hottest(r read) (celsius float64, ok bool) {
	for _, reading := range r.Event.Readings {
		if value, isNumber := reading.Value.(float64); isNumber && reading.Metric == "temperature" && (!ok || value > celsius) {
			celsius, ok = value, true
		}
	}
	return celsius, ok
}

// TestExamplesThroughKills holds that every report which calls for an event has it, under one id, and that no event is there
// without its report, although each example was killed between appending and acknowledging.
func TestExamplesThroughKills(t *testing.T) {
	needs(t, "python3", "node", "curl", "jq")
	s := up(t, t.TempDir())
	const total = 1500
	s.report(total)
	at := func(r read) string { return fmt.Sprintf("telemetry-%d-%d", r.Partition, r.Offset) }
	for _, e := range []example{
		{"alarms", []string{"python3", "../examples/alarms.py"}, "examples/alarms.py", "events", func(r read) string {
			if celsius, _ := hottest(r); celsius > 80 {
				return at(r)
			}
			return ""
		}},
		{"journal", []string{"sh", "../examples/journal.sh"}, "examples/journal.sh", "events", at},
		{"fahrenheit", []string{"node", "../examples/fahrenheit.mjs"}, "examples/fahrenheit.mjs", "telemetry", func(r read) string {
			if _, ok := hottest(r); ok {
				return "fahrenheit-" + at(r)
			}
			return ""
		}},
	} {
		e.killed(s)
		e.check(s)
	}
	const stored = "SELECT uniqExact(partition, `offset`) = count(), count() FROM fieldlog.readings WHERE metric = 'temperature_f'"
	s.eventually(30*time.Second, stored, fmt.Sprintf("1\t%d", total))
}
