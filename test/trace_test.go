package test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// chapter is a line of `fieldlog trace --json`.
type chapter struct {
	Time        time.Time
	Topic, Kind string
}

// TestOneTrace follows a trace from the click to the module and the row: the answer, the events, the log lines, the site, the tables,
// and the story that is told of it. A device that reports later goes on with it.
func TestOneTrace(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	dir := t.TempDir()
	s := up(t, dir, "--log-level", "info", "--site-pace", "10ms")
	send := func(path, body string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Gateway+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode >= 300 || !strings.Contains(resp.Header.Get("traceparent"), trace) {
			t.Fatalf("%s: got %d, traceparent %q", path, resp.StatusCode, resp.Header.Get("traceparent"))
		}
	}
	send("/v1/orders?wait=20s", orderBody("cliente02", "o1", "traced", "Product-A"))
	s.eventually(patience, "SELECT status, trace_id FROM fieldlog.orders WHERE order_id = 'o1'", "ready\t"+trace)
	send("/v1/telemetry", `{"client":"cliente02","device":"pump-7","readings":{"temperature":4.5}}`)
	s.eventually(patience, "SELECT device FROM fieldlog.reports WHERE trace_id = '"+trace+"'", "pump-7")

	var kinds []string
	last := time.Time{}
	for line := range strings.Lines(s.run("", "trace", trace, "--json")) {
		var c chapter
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		if c.Time.Before(last) {
			t.Errorf("%s of %s is told after %s", c.Kind, c.Time, last)
		}
		kinds, last = append(kinds, c.Kind), c.Time
	}
	at := 0
	for _, kind := range []string{"order.placed", "order.accepted", "provisioning.progressed", "telemetry.reported"} {
		next := slices.Index(kinds, kind)
		if next < at {
			t.Errorf("%s is missing or comes too early: %v", kind, kinds)
		}
		at = next
	}
	if !slices.Contains(kinds, "effect.recorded") {
		t.Errorf("the story has no effects: %v", kinds)
	}
	if site, err := os.ReadFile(filepath.Join(dir, "sites", "traced", "site.json")); err != nil || !strings.Contains(string(site), trace) {
		t.Errorf("the site is %s (%v)", site, err)
	}
	s.eventually(patience, "SELECT count() > 5 AND countIf(trace_id != '"+trace+"') = 0 FROM fieldlog.order_facts WHERE order_id = 'o1'", "1")
	for line := range strings.Lines(s.output()) {
		if strings.Contains(line, `"order":"o1"`) && !strings.Contains(line, `"trace_id":"`+trace+`"`) {
			t.Errorf("a log line about the order lacks the trace: %s", line)
		}
	}
	for _, said := range []string{"took an input about an order", "a step is done"} {
		if !strings.Contains(s.output(), said) {
			t.Errorf("nothing was logged about the order: %q is missing", said)
		}
	}
	s.stop()
}
