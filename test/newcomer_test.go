package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWhatTheReadmeShows does what a newcomer does: report in every form, and see it.
func TestWhatTheReadmeShows(t *testing.T) {
	s := up(t, t.TempDir())
	begin := time.Now().Unix()
	const report = `{"client":"cliente02","device":"pump-7","readings":{"temperature":21.5,"running":true,"state":"ok"}}`
	f := func(path, contentType, body string, status int) {
		t.Helper()
		if got, text := s.post(path, contentType, body); got != status {
			t.Fatalf("%s %s: got %d %s, want %d", path, body, got, text, status)
		}
	}
	f("/v1/telemetry", "application/json", report, 200)
	f("/v1/telemetry", "application/json", "["+report+","+report+"]", 200)
	f("/v1/telemetry", "application/x-ndjson", report+"\n"+report+"\n", 200)
	f("/api/v2/write?bucket=cliente02&precision=s", "text/plain", "weather,device=roof temperature=4.5,wind=7i\n", 204)
	s.eventually(patience, "SELECT count(), countIf(metric = 'weather.wind' AND integer = 7) FROM fieldlog.readings", "17\t1")

	s.eventually(patience, "SELECT count() FROM fieldlog.devices", "2") // a view, fed a moment after its table
	rows := s.run("", "query", fmt.Sprintf("SELECT device, toUnixTimestamp(last_seen) >= %d AS recent FROM devices ORDER BY device", begin))
	if want := `{"device":"pump-7","recent":1}` + "\n" + `{"device":"roof","recent":1}` + "\n"; rows != want {
		t.Errorf("query printed %q, want %q", rows, want)
	}
	lines := strings.Split(strings.TrimSpace(s.run("", "tail", "--client", "cliente02", "--device", "roof")), "\n")
	var line struct {
		Topic string
		Event struct{ Client, Device string }
	}
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil || len(lines) != 1 || line.Event.Device != "roof" {
		t.Errorf("tail printed %q (%v)", lines, err)
	}
	if resp, err := http.Get(s.Gateway + "/readyz"); err != nil || resp.StatusCode != 200 {
		t.Errorf("readyz: got %v %v", resp, err)
	}
	s.stop()

	again := up(t, s.dir) // it carries on from what is there
	again.eventually(patience, "SELECT count() FROM fieldlog.readings", "17")
	f2, text := again.post("/v1/telemetry", "application/json", report)
	if f2 != 200 {
		t.Fatal(text)
	}
	again.eventually(patience, "SELECT count() FROM fieldlog.readings", "20")
	again.stop()
}

func TestTheFleetReports(t *testing.T) {
	s := up(t, t.TempDir(), "--fleet", "50")
	s.eventually(patience, "SELECT uniqExact(client) > 1 AND uniqExact(device) > 10 AND uniqExact(metric) > 3 FROM fieldlog.readings", "1")
	s.stop()
}

func TestTwoSystemsDoNotShareAFolder(t *testing.T) {
	s := up(t, t.TempDir())
	defer s.stop()
	second := &system{t: t}
	out := second.fails(arguments(s.dir)...)
	if !strings.Contains(out, "--data") || !strings.Contains(out, "pid") && !strings.Contains(out, "process") {
		t.Errorf("the second was told %q", out)
	}
}
