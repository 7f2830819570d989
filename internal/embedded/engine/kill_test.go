package engine_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
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
	for block := range blocks {
		if block%15 == 7 {
			pid := e.PID()
			go func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
		}
		var body strings.Builder
		for row := range rows {
			fmt.Fprintf(&body, "%d\n", block*rows+row)
		}
		deadline := time.Now().Add(30 * time.Second)
		for !run("INSERT INTO r FORMAT TSV", fmt.Sprint("block-", block), body.String()) {
			if time.Now().After(deadline) {
				t.Fatal("the engine did not come back")
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	_, text, _ := post(t, e, url.Values{"query": {"SELECT count(), uniqExact(a), (SELECT sum(n) FROM s) FROM r"}}, nil)
	if want := fmt.Sprintf("%d\t%d\t%d\n", blocks*rows, blocks*rows, blocks*rows); text != want {
		t.Errorf("got %q, want %q", text, want)
	}
}
