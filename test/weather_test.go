package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// beside starts another part of the program that uses the system's engines; a URL in instead replaces one of them.
func (s *system) beside(instead map[string]string, args ...string) *system {
	s.t.Helper()
	p := &system{t: s.t, prefix: s.prefix, ended: make(chan struct{})}
	p.cmd = exec.Command(binary(s.t), args...)
	p.cmd.Env = os.Environ()
	for name, value := range map[string]string{"FIELDLOG_BROKERS": s.Kafka, "FIELDLOG_REGISTRY": s.Registry, "FIELDLOG_CLICKHOUSE": s.ClickHouse, "FIELDLOG_PREFIX": s.prefix} {
		if other := instead[name]; other != "" {
			value = other
		}
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	return p
}

// signal sends a signal to the process alone.
func (s *system) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// children are the process ids of the engine, of which there is one or none.
func (s *system) children() (pids []int) {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(s.cmd.Process.Pid)).Output() // no child is no error
	for _, text := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(text); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// measured are a process's metrics, summed over their labels.
type measured map[string]float64

const (
	lag        = "fieldlog_log_lag_records"
	failures   = "fieldlog_analytics_failures_total"
	goroutines = "go_goroutines"
	resident   = "process_resident_memory_bytes"
)

func (s *system) measure() measured {
	s.t.Helper()
	resp, err := http.Get(s.Metrics + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	m := measured{}
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, found := strings.Cut(lines.Text(), " ")
		if labelled, _, has := strings.Cut(lines.Text(), "{"); has {
			name, value, found = labelled, lines.Text()[strings.LastIndexByte(lines.Text(), ' ')+1:], true
		}
		if v, err := strconv.ParseFloat(value, 64); found && err == nil {
			m[name] += v
		}
	}
	return m
}

// awaitMetrics measures until the metrics are as wanted.
func (s *system) awaitMetrics(what string, holds func(m measured) bool) measured {
	s.t.Helper()
	var m measured
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if m = s.measure(); holds(m) {
			return m
		}
	}
	s.t.Fatalf("%s: in time it was not; lag %v, failures %v\n%s", what, m[lag], m[failures], s.output())
	return m
}

// allStored waits until everything that was appended is stored.
func (s *system) allStored() {
	s.t.Helper()
	s.awaitMetrics("everything is stored", func(m measured) bool { return m[lag] == 0 })
}

// flat compares memory and goroutines with what they were. Buffers have bounds, and are filled once; what piles up has none.
func (s *system) flat(before measured) {
	s.t.Helper()
	now := s.measure()
	if now[goroutines] > before[goroutines]+200 {
		s.t.Errorf("%v goroutines have become %v", before[goroutines], now[goroutines])
	}
	if now[resident] > 2*before[resident]+256<<20 {
		s.t.Errorf("%.0f MiB of memory have become %.0f", before[resident]/(1<<20), now[resident]/(1<<20))
	}
}

// traffic is reports that come whatever becomes of them, and the receipts for those that were acknowledged.
type traffic struct {
	receipts
	gateway string
	client  *http.Client
	quit    chan struct{}
	senders sync.WaitGroup

	codes   map[int]int     // answers, 0 for none; guarded by mu
	waits   []time.Duration // of the accepted
	longest time.Duration   // of all
	bare    int             // answers of 429 and 503 without Retry-After
}

// newTraffic starts senders, each of which sends a report of four readings every so often, padded to a size.
func newTraffic(gateway string, senders int, every time.Duration, size int) *traffic {
	c := &traffic{
		gateway: gateway, quit: make(chan struct{}), codes: map[int]int{},
		receipts: receipts{all: map[eventlog.Position]string{}},
		client:   &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: senders}},
	}
	begin, padding := time.Now().UnixNano(), strings.Repeat("x", size)
	for sender := range senders {
		c.senders.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for n := 0; ; n++ {
				c.send(fmt.Sprintf(`{"client":"c%d","device":"d","event_id":"%d-%d-%d","readings":{"level":%d.25,"count":%d,"on":%v,"state":"s%d"},"padding":%q}`, sender, begin, sender, n, n, n, n%2 == 0, n%5, padding))
				select {
				case <-c.quit:
					return
				case <-tick.C:
				}
			}
		})
	}
	return c
}

func (c *traffic) send(body string) {
	begin := time.Now()
	resp, err := c.client.Post(c.gateway+"/v1/telemetry?positions", "application/json", strings.NewReader(body))
	if err != nil {
		c.note(0, nil, true, time.Since(begin))
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.note(0, nil, true, time.Since(begin))
		return
	}
	c.note(resp.StatusCode, text, resp.Header.Get("Retry-After") != "", time.Since(begin))
}

func (c *traffic) note(code int, text []byte, retryAfter bool, took time.Duration) {
	var answer struct {
		Items []struct {
			EventID   string `json:"event_id"`
			Topic     eventlog.Topic
			Partition eventlog.Partition
			Offset    eventlog.Offset
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.codes[code]++
	c.longest = max(c.longest, took)
	if (code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable) && !retryAfter {
		c.bare++
	}
	if code != http.StatusOK || json.Unmarshal(text, &answer) != nil {
		return
	}
	c.waits = append(c.waits, took)
	for _, item := range answer.Items {
		c.all[eventlog.Position{Topic: item.Topic, Partition: item.Partition, Offset: item.Offset}] = item.EventID
	}
}

// answers returns how many answers of a code there were.
func (c *traffic) answers(code int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.codes[code]
}

// await waits until there are n more answers of a code.
func (c *traffic) await(t *testing.T, code, n int) {
	t.Helper()
	want := c.answers(code) + n
	for deadline := time.Now().Add(2 * time.Minute); c.answers(code) < want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Fatalf("no %d more answers of %d came in time: %v", n, code, c.codes)
		}
	}
}

// stop stops the senders, and checks that nothing was answered but these codes, and that who is to come again was told so.
func (c *traffic) stop(t *testing.T, codes ...int) {
	t.Helper()
	close(c.quit)
	c.senders.Wait()
	others := map[int]int{}
	for code, n := range c.codes {
		others[code] = n
	}
	for _, code := range codes {
		delete(others, code)
	}
	if len(others) > 0 {
		t.Errorf("answers were %v, want only %v", c.codes, codes)
	}
	if c.bare > 0 {
		t.Errorf("%d answers of 429 and 503 had no Retry-After", c.bare)
	}
}
