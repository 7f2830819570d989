package test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// binary returns the built program.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("FIELDLOG_TEST_BINARY")
	if path == "" {
		path = filepath.Join("..", "bin", "fieldlog")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the binary is not built: %v; run make test, or make build", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}

// patience bounds the wait for what comes by itself, on a machine that does much else. After a kill the brokers miss a member
// of a group only when its session has timed out.
const patience = 2 * time.Minute

// system is a running `fieldlog up`.
type system struct {
	t      testing.TB
	cmd    *exec.Cmd
	dir    string
	prefix string // of topics and groups

	Portal, Gateway, Kafka, Registry, ClickHouse, Metrics string

	ended chan struct{} // closed when the process has ended
	err   error         // how it ended

	mu  sync.Mutex
	log bytes.Buffer
}

// prefix is what the names of a data folder's topics and groups begin with.
func prefix(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return fmt.Sprintf("test-%x.", sum[:8])
}

// arguments are those of `fieldlog up` on a data folder: everything embedded, or the brokers and the registry that
// FIELDLOG_TEST_BROKERS and FIELDLOG_TEST_REGISTRY name (`make test-kafka`), with topics that belong to the folder.
func arguments(dir string) []string {
	args := []string{"up", "--data", dir, "--prefix", prefix(dir), "--listen", "127.0.0.1:0", "--portal-listen", "127.0.0.1:0", "--clickhouse-listen", "127.0.0.1:0"}
	if brokers := os.Getenv("FIELDLOG_TEST_BROKERS"); brokers != "" {
		return append(args, "--brokers", brokers, "--registry", os.Getenv("FIELDLOG_TEST_REGISTRY"), "--replication", "3")
	}
	return append(args, "--kafka-listen", "127.0.0.1:0", "--registry-listen", "127.0.0.1:0")
}

// up starts the system on a data folder and returns when it is ready. The folder's next system carries on with its topics.
func up(t testing.TB, dir string, args ...string) *system {
	t.Helper()
	s := &system{t: t, dir: dir, prefix: prefix(dir), ended: make(chan struct{})}
	s.cmd = exec.Command(binary(t), append(arguments(dir), args...)...)
	s.launch()
	return s
}

// launch starts the process and returns when it is ready.
func (s *system) launch() {
	s.t.Helper()
	ready := s.begin()
	select {
	case <-ready:
	case <-s.ended:
		s.t.Fatalf("it ended before it was ready: %v\n%s", s.err, s.output())
	case <-time.After(patience):
		s.t.Fatalf("it was not ready in time:\n%s", s.output())
	}
}

// begin starts the process. ready is closed when it says that it is.
func (s *system) begin() (ready <-chan struct{}) {
	s.t.Helper()
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = s.cmd.Stdout
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.kill)
	said := make(chan struct{})
	go s.follow(out, said)
	return said
}

// follow reads what the process prints, for its addresses.
func (s *system) follow(out io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		s.mu.Lock()
		s.log.Write(append(lines.Bytes(), '\n'))
		s.mu.Unlock()
		var line struct {
			Msg, Portal, Gateway, Kafka, Registry, ClickHouse, Metrics string
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			s.Portal, s.Gateway, s.Kafka, s.Registry, s.ClickHouse, s.Metrics = line.Portal, line.Gateway, line.Kafka, line.Registry, line.ClickHouse, line.Gateway
			if line.Metrics != "" {
				s.Metrics = "http://" + line.Metrics
			}
			close(ready)
		}
	}
	s.err = s.cmd.Wait()
	close(s.ended)
}

func (s *system) output() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// kill ends the whole process tree as a power cut would, and returns when the data folder is free.
func (s *system) kill() {
	select {
	case <-s.ended:
		return
	default:
	}
	children, _ := exec.Command("pgrep", "-P", strconv.Itoa(s.cmd.Process.Pid)).Output()
	for _, text := range strings.Fields(string(children)) {
		if pid, err := strconv.Atoi(text); err == nil {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	_ = s.cmd.Process.Kill()
	<-s.ended
}

// stop ends it as an operator does, and checks that it drained.
func (s *system) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Fatalf("it did not end after SIGTERM:\n%s", s.output())
	}
	if s.err != nil {
		s.t.Fatalf("it ended with %v:\n%s", s.err, s.output())
	}
}

// environment points a command of the program at the system.
func (s *system) environment() []string {
	return append(os.Environ(), "FIELDLOG_BROKERS="+s.Kafka, "FIELDLOG_REGISTRY="+s.Registry, "FIELDLOG_CLICKHOUSE="+s.ClickHouse, "FIELDLOG_PREFIX="+s.prefix)
}

// run runs a command of the program and returns what it printed.
func (s *system) run(stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(binary(s.t), args...)
	cmd.Env = s.environment()
	cmd.Stdin = strings.NewReader(stdin)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("fieldlog %s: %v\n%s%s", strings.Join(args, " "), err, out, complaint.String())
	}
	return string(out)
}

// query asks ClickHouse, as curl would, and returns the lines of the answer.
func (s *system) query(sql string) []string {
	s.t.Helper()
	resp, err := http.Get(s.ClickHouse + "/?query=" + url.QueryEscape(sql))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: got %d %s (%v)", sql, resp.StatusCode, text, err)
	}
	if len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
}

// eventually asks until the answer is as wanted, within a bound.
func (s *system) eventually(within time.Duration, sql, want string) {
	s.t.Helper()
	var got []string
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = s.query(sql); strings.Join(got, "\n") == want {
			return
		}
	}
	s.t.Fatalf("%s: after %s got %q, want %q", sql, within, got, want)
}

// post sends a body to the gateway.
func (s *system) post(path, contentType, body string) (int, string) {
	s.t.Helper()
	resp, err := http.Post(s.Gateway+path, contentType, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// openLog opens the system's log.
func (s *system) openLog() *eventlog.Log {
	s.t.Helper()
	log, err := eventlog.New(eventlog.Config{Brokers: strings.Split(s.Kafka, ","), Registry: s.Registry, Prefix: s.prefix}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(log.Close)
	return log
}

// schemaIDs returns the registry's ids, by subject and version.
func (s *system) schemaIDs() string {
	s.t.Helper()
	var subjects []string
	s.ask("/subjects", &subjects)
	slices.Sort(subjects)
	all := ""
	for _, subject := range subjects {
		var versions []int
		s.ask("/subjects/"+subject+"/versions", &versions)
		for _, version := range versions {
			var schema struct{ ID int }
			s.ask(fmt.Sprintf("/subjects/%s/versions/%d", subject, version), &schema)
			all += fmt.Sprintf("%s %d: %d\n", subject, version, schema.ID)
		}
	}
	return all
}

// ask asks the registry.
func (s *system) ask(path string, answer any) {
	s.t.Helper()
	resp, err := http.Get(s.Registry + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: got %s (%v)", path, resp.Status, err)
	}
}
