package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/embedded"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/analytics"
)

// nothingRuns points doctor at ports where nothing listens.
func nothingRuns(t *testing.T) map[string]string {
	t.Helper()
	const free = "127.0.0.1:1" // no test is given that port
	return map[string]string{
		"FIELDLOG_BROKERS": free, "FIELDLOG_REGISTRY": "http://" + free, "FIELDLOG_CLICKHOUSE": "http://" + free,
		"FIELDLOG_URL": "http://" + free, "FIELDLOG_DATA": t.TempDir(),
	}
}

// hangUp listens, and ends every connection at once.
func hangUp(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

func examine(t *testing.T, environment map[string]string) (map[string]finding, int) {
	t.Helper()
	got := fieldlog(t, environment, "", "doctor", "--json")
	found := map[string]finding{}
	for _, f := range lines[finding](t, got.stdout) {
		if f.Status == wrong && f.Change == "" {
			t.Errorf("got %+v, want it to say what to change", f)
		}
		if known, twice := found[f.Check]; !twice || known.Status == well {
			found[f.Check] = f
		}
	}
	return found, got.code
}

func TestDoctorOnAMachineWhereNothingRuns(t *testing.T) {
	found, _ := examine(t, nothingRuns(t))
	for check, want := range map[string]status{
		"environment": well, "data folder": well, "data lock": nothing, "disk": well, "open files": well,
		"brokers": nothing, "registry": nothing, "clickhouse": nothing, "gateway": nothing,
	} {
		if found[check].Status != want {
			t.Errorf("%s: got %+v, want %s", check, found[check], want)
		}
	}
}

func TestDoctorFindsWhatIsWrong(t *testing.T) {
	stranger := httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	silent := hangUp(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o400); err != nil {
		t.Fatal(err)
	}
	f := func(check, variable, value, want string) {
		t.Helper()
		environment := nothingRuns(t)
		environment[variable] = value
		found, code := examine(t, environment)
		if got := found[check]; got.Status != wrong || !strings.Contains(got.Detail, want) || code != exitFailure {
			t.Errorf("%s=%s: got %+v and code %d, want it wrong with %q", variable, value, got, code, want)
		}
	}
	f("environment", "FIELDLOG_FLEETS", "3", "FIELDLOG_FLEETS")
	f("brokers", "FIELDLOG_BROKERS", silent, silent)
	f("registry", "FIELDLOG_REGISTRY", stranger.URL, "not registered")
	f("registry", "FIELDLOG_REGISTRY", "registry", "not a URL")
	f("clickhouse", "FIELDLOG_CLICKHOUSE", stranger.URL, "404")
	f("gateway", "FIELDLOG_URL", stranger.URL, "404")
	f("gateway", "FIELDLOG_URL", "nowhere", "not a URL")
	f("data folder", "FIELDLOG_DATA", file, "not a folder")
}

func TestDoctorOnATopicAboutOrdersOfAnotherCount(t *testing.T) {
	var e examination
	for _, spec := range eventlog.Topics() {
		e.topic(eventlog.TopicStatus{TopicSpec: spec, FullName: string(spec.Name), Exists: true, ActualPartitions: 5}, 0)
		want := well
		if spec.Together {
			want = wrong
		}
		if got := e.findings[len(e.findings)-1]; got.Status != want {
			t.Errorf("%s: got %+v, want it %s", spec.Name, got, want)
		}
	}
}

// TestDoctorCountsTheViews has a ClickHouse that knows the version, and of the views only two.
func TestDoctorCountsTheViews(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if query := string(body) + r.URL.Query().Get("query"); strings.Contains(query, "system.tables") {
			asked = query
			fmt.Fprintln(w, 2)
			return
		}
		fmt.Fprintln(w, "25.8")
	}))
	defer server.Close()
	environment := nothingRuns(t)
	environment["FIELDLOG_CLICKHOUSE"] = server.URL
	found, _ := examine(t, environment)
	if want := fmt.Sprintf("2 of %d", len(analytics.Views())); found["tables"].Status != wrong || !strings.Contains(found["tables"].Detail, want) {
		t.Errorf("got %+v, want %q", found["tables"], want)
	}
	for _, view := range analytics.Views() {
		if !strings.Contains(asked, "'"+view+"'") {
			t.Errorf("it did not look for view %q: %s", view, asked)
		}
	}
}

func TestDoctorOnWhatRuns(t *testing.T) {
	c := newCluster(t)
	environment := nothingRuns(t)
	for name, value := range c.environment {
		environment[name] = value
	}
	lock, err := embedded.Acquire(environment["FIELDLOG_DATA"])
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	found, _ := examine(t, environment)
	for _, check := range []string{"brokers", "topic", "registry", "schema", "data lock"} {
		if found[check].Status != well {
			t.Errorf("got %+v, want it well", found[check])
		}
	}
	environment["FIELDLOG_PARTITIONS"] = "5"
	if found, _ := examine(t, environment); found["topic"].Status != wrong || !strings.Contains(found["topic"].Detail, "12 partitions, 5") {
		t.Errorf("got %+v, want the partitions to be wrong", found["topic"])
	}
	text := fieldlog(t, environment, "", "doctor")
	if text.code != exitFailure || !strings.Contains(text.stdout, "✗ topic") || !strings.Contains(text.stdout, "→ leave --partitions out") {
		t.Errorf("got %+v", text)
	}
}
