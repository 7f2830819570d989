package test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gateway starts a gateway in a process of its own, and returns its address and what kills it.
func (s *system) gateway() (url string, kill func()) {
	s.t.Helper()
	cmd := exec.Command(binary(s.t), "gateway", "--listen", "127.0.0.1:0", "--retry-wait", patient)
	cmd.Env = s.environment()
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	s.t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		var line struct{ Msg, Gateway string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			url = line.Gateway
		}
	}
	if url == "" {
		s.t.Fatalf("the gateway ended before it was ready: %v", lines.Err())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // it may say more
	return url, kill
}

// patient lets no answer depend on how busy the machine is.
const patient = "20s"

// told is what an answer says of a report.
type told struct {
	Partition int32
	Offset    int64
	Duplicate bool
}

// numbered sends the n-th request of a sender: ten reports, each with the id that it always has. ok is false without an answer
// of 200.
func numbered(url string, sender, n int) (answer map[string]told, ok bool) {
	var body strings.Builder
	for report := range 10 {
		fmt.Fprintf(&body, `{"client":"c%d","device":"d%d","event_id":"%d-%d-%d","readings":{"level":%d.25}}`+"\n", sender, report%3, sender, n, report, n)
	}
	client := &http.Client{Timeout: 45 * time.Second}
	resp, err := client.Post(url+"/v1/telemetry?positions", "application/x-ndjson", strings.NewReader(body.String()))
	if err != nil {
		return nil, false
	}
	defer resp.Body.Close()
	var accepted struct {
		Items []struct {
			EventID string `json:"event_id"`
			told
		}
	}
	if json.NewDecoder(resp.Body).Decode(&accepted) != nil || resp.StatusCode != http.StatusOK {
		return nil, false
	}
	answer = map[string]told{}
	for _, item := range accepted.Items {
		answer[item.EventID] = item.told
	}
	return answer, len(answer) == 10
}

// senders is how many send at a time.
const senders = 4

// TestRetriesThroughKills kills a gateway while reports come in, and then everything, and each time sends all of them again
// through gateways that did not take them: each is stored once, and every answer names where the first is.
func TestRetriesThroughKills(t *testing.T) {
	dir := t.TempDir()
	s := up(t, dir, "--block-age", "200ms", "--retry-wait", patient)
	url, kill := s.gateway()
	first := make([]map[string]told, senders) // what was acknowledged
	requests := make([]int, senders)          // how many were sent, the last of them without an answer
	var acknowledged atomic.Int64
	var wg sync.WaitGroup
	for sender := range senders {
		first[sender] = map[string]told{}
		wg.Go(func() {
			for {
				requests[sender]++
				answer, ok := numbered(url, sender, requests[sender])
				if !ok {
					return
				}
				for id, at := range answer {
					first[sender][id] = at
				}
				if acknowledged.Add(1) == 40 {
					kill()
				}
			}
		})
	}
	wg.Wait()
	again := func(url string, everything bool) {
		t.Helper()
		var wg sync.WaitGroup
		for sender := range senders {
			wg.Go(func() {
				for n := range requests[sender] {
					answer, ok := numbered(url, sender, n+1)
					if !ok {
						t.Errorf("request %d of sender %d was not answered", n+1, sender)
					}
					for id, at := range answer {
						had, known := first[sender][id]
						if known && (at.Partition != had.Partition || at.Offset != had.Offset) || (known || everything) && !at.Duplicate {
							t.Errorf("%s: told was %+v, now %+v", id, had, at)
						}
						if !known {
							first[sender][id] = at
						}
					}
				}
			})
		}
		wg.Wait()
	}
	another, killAnother := s.gateway()
	again(another, false)
	again(s.Gateway, true)
	killAnother()
	s.kill()

	s = up(t, dir, "--retry-wait", patient)
	again(s.Gateway, true)
	reports := 0
	for sender := range senders {
		reports += len(first[sender])
	}
	records := 0
	for _, end := range s.ends() {
		records += end
	}
	s.eventually(time.Minute, "SELECT (SELECT count() FROM fieldlog.reports) + (SELECT count() FROM fieldlog.duplicates)", fmt.Sprint(records))
	s.eventually(30*time.Second, "SELECT count(), uniqExact(client, device, event_id), sum(readings) FROM fieldlog.reports", fmt.Sprintf("%d\t%[1]d\t%[1]d", reports))
	s.eventually(30*time.Second, "SELECT count() FROM fieldlog.readings", fmt.Sprint(reports))
	checkRollups(t, s)
	stored := map[string]string{}
	for _, row := range s.query("SELECT event_id, partition, `offset` FROM fieldlog.reports") {
		id, at, _ := strings.Cut(row, "\t")
		stored[id] = at
	}
	for sender := range senders {
		for id, at := range first[sender] {
			if want := fmt.Sprintf("%d\t%d", at.Partition, at.Offset); stored[id] != want {
				t.Errorf("%s is stored at %q, told was %q", id, stored[id], want)
			}
		}
	}
	t.Logf("%d reports, %d records: each stored once", reports, records)
	s.stop()
}

// ends returns how many records each partition of telemetry has.
func (s *system) ends() (all []int) {
	s.t.Helper()
	ranges, err := s.openLog().Ends(s.t.Context(), "telemetry")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range ranges {
		all = append(all, int(r.Next-r.First))
	}
	return all
}
