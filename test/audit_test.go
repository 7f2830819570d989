package test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// audited is what `fieldlog audit` printed and how it ended.
type audited struct {
	code        int
	accepted    int
	log         int
	stored      int
	unclaimed   int
	differences []string
}

// audit runs `fieldlog audit` on the system.
func (s *system) audit(args ...string) audited {
	s.t.Helper()
	cmd := exec.Command(binary(s.t), append([]string{"audit", "--from", "start"}, args...)...)
	cmd.Env = s.environment()
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	a := audited{code: cmd.ProcessState.ExitCode()}
	for text := range strings.Lines(string(out)) {
		var line struct {
			Accepted, Log, Stored, Unclaimed int
			Difference, Text                 string
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			s.t.Fatalf("audit printed %q: %v", text, err)
		}
		a.accepted, a.log, a.stored, a.unclaimed = a.accepted+line.Accepted, a.log+line.Log, a.stored+line.Stored, a.unclaimed+line.Unclaimed
		if line.Difference != "" {
			a.differences = append(a.differences, line.Text)
		}
	}
	if a.code > 1 || a.code == 1 && len(a.differences) == 0 {
		s.t.Fatalf("audit ended with %d: %s%s", a.code, out, complaint.String())
	}
	return a
}

// exec runs a statement that changes something.
func (s *system) exec(sql string) {
	s.t.Helper()
	resp, err := http.Post(s.ClickHouse, "text/plain", strings.NewReader(sql))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: got %d %s (%v)", sql, resp.StatusCode, text, err)
	}
}

// TestTheAuditFindsOneRow kills the system once under load, audits what is there, takes one row away, and audits again.
func TestTheAuditFindsOneRow(t *testing.T) {
	dir := t.TempDir()
	r := &receipts{all: map[eventlog.Position]string{}}
	s := up(t, dir, "--receipts-every", "200ms", "--block-age", "300ms")
	var dead *time.Timer
	r.load(s.Gateway, 2, 0, func() { dead = time.AfterFunc(time.Second, s.kill) })
	if dead == nil {
		t.Fatalf("nothing was acknowledged:\n%s", s.output())
	}
	dead.Stop()
	s.kill()

	s = up(t, dir)
	s.post("/v1/telemetry", "application/json", `{"client":"c","device":"last","readings":{"on":true}}`)
	a := s.audit("--wait=2m")
	if a.code != 0 || len(a.differences) > 0 || a.log < len(r.all) || a.stored != a.log || a.accepted+a.unclaimed != a.log || a.accepted == 0 {
		t.Errorf("after a kill, with %d acknowledged: got %+v", len(r.all), a)
	}
	place := strings.Fields(s.query("SELECT partition, max(`offset`) FROM fieldlog.readings GROUP BY partition LIMIT 1")[0])
	s.exec(fmt.Sprintf("ALTER TABLE fieldlog.readings_g1 DELETE WHERE partition = %s AND `offset` = %s SETTINGS mutations_sync = 2", place[0], place[1]))
	a = s.audit()
	want := fmt.Sprintf("missing in ClickHouse: telemetry/%s@%s-%s (readings)", place[0], place[1], place[1])
	if a.code != 1 || len(a.differences) != 1 || a.differences[0] != want {
		t.Errorf("got %+v, want %q", a, want)
	}
	s.stop()
	unreachable := exec.Command(binary(t), "audit", "--brokers", "127.0.0.1:1")
	if _ = unreachable.Run(); unreachable.ProcessState.ExitCode() != 3 {
		t.Errorf("without brokers it ended with %d, want 3", unreachable.ProcessState.ExitCode())
	}
}
