package engine_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
	"github.com/fieldlog/fieldlog/internal/freeport"
)

// TestNothingIsLostOrDoubledByKill kills the child while blocks with tokens are sent, and sends each again until it is
// taken: every row is stored once, in the table and in the view that depends on it.
func TestNothingIsLostOrDoubledByKill(t *testing.T) {
	e := start(t, t.TempDir())
	run := func(query, token, body string) bool {
		params := url.Values{"query": {query}, "async_insert": {"0"}, "deduplicate_blocks_in_dependent_materialized_views": {"1"}}
		if token != "" {
			params.Set("insert_deduplication_token", token)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL()+"/?"+params.Encode(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode == http.StatusOK
	}
	for _, ddl := range []string{
		"CREATE TABLE r (a UInt64) ENGINE=MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window=1000, fsync_after_insert=1, fsync_part_directory=1",
		"CREATE TABLE s (k UInt8, n SimpleAggregateFunction(sum, UInt64)) ENGINE=AggregatingMergeTree ORDER BY k SETTINGS non_replicated_deduplication_window=1000, fsync_after_insert=1, fsync_part_directory=1",
		"CREATE MATERIALIZED VIEW v TO s AS SELECT 1 AS k, count() AS n FROM r GROUP BY k",
	} {
		if !run(ddl, "", "") {
			t.Fatal(ddl)
		}
	}
	const blocks, rows = 60, 200
	failed := 0
	send := func(block int) {
		var body strings.Builder
		for row := range rows {
			fmt.Fprintf(&body, "%d\n", block*rows+row)
		}
		deadline := time.Now().Add(2 * time.Minute)
		for !run("INSERT INTO r FORMAT TSV", fmt.Sprint("block-", block), body.String()) {
			if failed++; time.Now().After(deadline) {
				t.Fatal("the engine did not come back")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for block := range blocks {
		if block%15 == 7 {
			pid := e.PID()
			go func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
		}
		send(block)
	}
	for block := range blocks {
		send(block) // all of them again: the engine remembers the tokens of before the kills
	}
	if failed == 0 {
		t.Error("no kill hit anything")
	}
	_, text, _ := post(t, e, url.Values{"query": {"SELECT count(), uniqExact(a), (SELECT sum(n) FROM s) FROM r"}}, nil)
	if want := fmt.Sprintf("%d\t%d\t%d\n", blocks*rows, blocks*rows, blocks*rows); text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}

// TestTheNextParentTakesOver kills a parent while its child is busy, and starts another on the same folder and address.
func TestTheNextParentTakesOver(t *testing.T) {
	dir := t.TempDir()
	path, err := library.Install(t.Context(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	free, err := freeport.Addresses(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "ENGINE_TEST_PARENT="+dir, "ENGINE_TEST_LIBRARY="+path, "ENGINE_TEST_ADDR="+free[0])
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimSpace(line)
	ask := func(statement string) (*http.Response, error) {
		return http.Post("http://"+addr, "text/plain", strings.NewReader(statement))
	}
	if resp, err := ask("CREATE TABLE t (a UInt8) ENGINE=MergeTree ORDER BY a"); err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
	cut := make(chan struct{})
	go func() {
		defer close(cut)
		if resp, err := ask("SELECT max(sipHash64(number)) FROM numbers(100000000000)"); err == nil {
			resp.Body.Close()
		}
	}()
	busy := func() bool {
		resp, err := ask("SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && string(text) == "1\n"
	}
	for deadline := time.Now().Add(time.Minute); !busy(); {
		if time.Now().After(deadline) {
			t.Fatal("the query does not run")
		}
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	e := engine.New(engine.Config{
		Command: []string{os.Args[0]}, Addr: addr, Env: []string{"ENGINE_TEST_DIR=" + dir, "ENGINE_TEST_LIBRARY=" + path},
	}, slog.New(slog.DiscardHandler))
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	<-cut
	if got := query(t, e, "EXISTS t"); got != "1\n" {
		t.Errorf("got %q", got)
	}
}

// TestCloseEndsAQuery bounds Close although a query would run for hours.
func TestCloseEndsAQuery(t *testing.T) {
	e := start(t, t.TempDir())
	ended := make(chan error, 1)
	go func() {
		resp, err := http.Post(e.URL(), "text/plain", strings.NewReader("SELECT max(sipHash64(number)) FROM numbers(100000000000)"))
		if err == nil {
			resp.Body.Close()
		}
		ended <- err
	}()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(query(t, e, "SELECT query FROM system.processes"), "sipHash64"); {
		if time.Now().After(deadline) {
			t.Fatal("the query does not run")
		}
	}
	began := time.Now()
	if err := e.Close(); err != nil || time.Since(began) > time.Minute {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
	<-ended
}
