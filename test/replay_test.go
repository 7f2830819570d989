package test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestReplayFindsWhatIsMissing lets an order be given up on a site where everything fails: who listens is notified once, a replay says
// what is missing and appends nothing. When the site is back, what is missing is tried again because somebody says so. Another client's
// order of the same namespace is given up at the first try.
func TestReplayFindsWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	s := up(t, dir, "--site-pace", "1ms", "--site-fail-one-in", "1", "--provision-attempts", "2", "--provision-first-wait", "10ms")
	order := func(client, id string) {
		t.Helper()
		status, a, err := decided(http.MethodPost, s.Gateway+"/v1/orders", orderBody(client, id, "plant", "Product-A"))
		if err != nil || status != http.StatusCreated {
			t.Fatalf("got %d %+v (%v)", status, a, err)
		}
	}
	replayed := func(want string, args ...string) {
		t.Helper()
		var got []string
		for line := range strings.Lines(s.run("y\n", append([]string{"replay", "orders"}, args...)...)) {
			var o struct {
				Verdict string
				OrderID string `json:"order_id"`
			}
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatal(err)
			}
			got = append(got, o.OrderID+" "+o.Verdict)
		}
		if told := strings.Join(got, ", "); told != want {
			t.Errorf("replay says %q, want %q", told, want)
		}
	}
	order("cliente02", "o1")
	s.eventually(patience, "SELECT status FROM fieldlog.orders", "abandoned")
	resp, err := http.Get(s.Gateway + "/v1/topics/notifications/events?from=start")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	notices, err := io.ReadAll(resp.Body)
	if err != nil || strings.Count(string(notices), `"order_id":"o1"`) != 1 || strings.Count(string(notices), "\n") != 1 {
		t.Errorf("the notifications are %s (%v)", notices, err)
	}

	before := s.run("", "tail", "provisioning")
	replayed("o1 missing", "--dry-run")
	replayed("o1 missing")
	if after := s.run("", "tail", "provisioning"); after != before {
		t.Errorf("a replay that only says appended\n%s", after[len(before):])
	}
	s.stop()

	s = up(t, dir, "--site-pace", "1ms")
	replayed("o1 missing", "--apply-missing", "--why", "the site is back")
	s.eventually(patience, "SELECT status FROM fieldlog.orders", "ready")
	replayed("o1 done")
	order("cliente03", "o2")
	s.eventually(patience, "SELECT status FROM fieldlog.orders WHERE order_id = 'o2'", "abandoned")
	s.eventually(patience, "SELECT reason, attempt FROM fieldlog.order_facts WHERE order_id = 'o2' AND state = 'abandoned'", "namespace_taken\t0")
	s.stop()
}
