package clickhouse_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

// tables are a table, a rollup without grouping and one with, both fed by it.
func tables(t testing.TB, c *clickhouse.Client) {
	t.Helper()
	window := " SETTINGS non_replicated_deduplication_window = 100"
	columns := " (name LowCardinality(String), time DateTime('UTC'), value Float64, note String)"
	rollup := " (name LowCardinality(String), time DateTime('UTC'), count SimpleAggregateFunction(sum, UInt64), sum SimpleAggregateFunction(sum, Float64))" +
		" ENGINE = AggregatingMergeTree PARTITION BY toYYYYMM(time) ORDER BY (name, time)" + window
	schema := clickhouse.Schema{Component: "test", Versions: [][]string{{
		"CREATE TABLE IF NOT EXISTS " + c.Table("source") + columns + " ENGINE = MergeTree PARTITION BY toYYYYMM(time) ORDER BY (name, time)" + window,
		"CREATE TABLE IF NOT EXISTS " + c.Table("plain") + rollup,
		"CREATE TABLE IF NOT EXISTS " + c.Table("grouped") + rollup,
		"CREATE MATERIALIZED VIEW IF NOT EXISTS " + c.Table("to_plain") + " TO " + c.Table("plain") +
			" AS SELECT name, toStartOfHour(s.time) AS time, toUInt64(1) AS count, value AS sum FROM " + c.Table("source") + " AS s",
		"CREATE MATERIALIZED VIEW IF NOT EXISTS " + c.Table("to_grouped") + " TO " + c.Table("grouped") +
			" AS SELECT name, toStartOfHour(s.time) AS time, count() AS count, sum(value) AS sum FROM " + c.Table("source") + " AS s GROUP BY name, time",
	}}}
	if err := c.Apply(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
}

// rows makes a block of n rows in one month: every name is different, so that nothing collapses.
func rows(n int, token string) clickhouse.InsertOptions {
	index, names := make([]uint32, n), make([]string, n)
	times, values, notes := make([]uint32, n), make([]float64, n), make([]byte, n)
	for i := range n {
		index[i], names[i] = uint32(i), fmt.Sprintf("name-%07d", i)
		times[i], values[i] = 1_795_000_000+uint32(i), float64(i)
	}
	return clickhouse.InsertOptions{Table: "source", Token: token, Rows: n, Columns: []clickhouse.Column{
		{Name: "name", Type: "LowCardinality(String)", Data: clickhouse.Coded(index, names)},
		{Name: "time", Type: "DateTime('UTC')", Data: clickhouse.Numbers(times)},
		{Name: "value", Type: "Float64", Data: clickhouse.Numbers(values)},
		{Name: "note", Type: "String", Data: clickhouse.Packed(notes, n)},
	}}
}

func number(t testing.TB, c *clickhouse.Client, query string) uint64 {
	t.Helper()
	var n uint64
	if err := c.Scan(t.Context(), query, &n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestOneInsertIsOnePart(t *testing.T) {
	f := func(compression clickhouse.Compression, n int) {
		t.Helper()
		cfg := clickhousetest.Config(t)
		cfg.Compression = compression
		c := clickhousetest.Open(t, cfg)
		tables(t, c)
		if _, err := c.Insert(t.Context(), rows(n, "a")); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"source", "plain", "grouped"} {
			if got := number(t, c, "SELECT count() FROM system.parts WHERE database = '"+c.Database()+"' AND table = '"+table+"'"); got != 1 {
				t.Errorf("%s: %d rows became %d parts of %q, want 1", compression, n, got, table)
			}
			if got := number(t, c, "SELECT toUInt64(max(max_block_number)) FROM system.parts WHERE database = '"+c.Database()+"' AND table = '"+table+"'"); got != 1 {
				t.Errorf("%s: %d blocks of %q were written, want 1", compression, got, table)
			}
			if got := number(t, c, "SELECT count() FROM "+c.Table(table)); got != uint64(n) {
				t.Errorf("%s: %q has %d rows, want %d", compression, table, got, n)
			}
		}
	}
	f(clickhouse.Plain, 600_000)
	f(clickhouse.LZ4, 600_000)
	f(clickhouse.Plain, 1)
	f(clickhouse.Plain, 70_000)
}

func TestTwoMonthsInOneInsertAreRefused(t *testing.T) {
	c := clickhousetest.Open(t, clickhousetest.Config(t))
	tables(t, c)
	times := []uint32{1_795_000_000, 1_795_000_000 + 40*86400}
	_, err := c.Insert(t.Context(), clickhouse.InsertOptions{Table: "source", Token: "a", Rows: 2, Columns: []clickhouse.Column{
		{Name: "time", Type: "DateTime('UTC')", Data: clickhouse.Numbers(times)},
	}})
	if err == nil || clickhouse.ClassOf(err) != clickhouse.Refused {
		t.Errorf("got %v (%s), want it refused", err, clickhouse.ClassOf(err))
	}
	if n := number(t, c, "SELECT count() FROM "+c.Table("source")); n != 0 {
		t.Errorf("%d rows of a refused insert are there", n)
	}
}

func TestEqualTokensStoreOnce(t *testing.T) {
	c := clickhousetest.Open(t, clickhousetest.Config(t))
	tables(t, c)
	for _, token := range []string{"a", "a", "b", "a", "b"} {
		if _, err := c.Insert(t.Context(), rows(1000, token)); err != nil {
			t.Fatal(err)
		}
	}
	if n := number(t, c, "SELECT count() FROM "+c.Table("source")); n != 2000 {
		t.Errorf("source has %d rows, want 2000", n)
	}
	for _, table := range []string{"plain", "grouped"} {
		if n := number(t, c, "SELECT sum(count) FROM "+c.Table(table)); n != 2000 {
			t.Errorf("%s counts %d, want 2000", table, n)
		}
	}
}

// TestATokenOutlivesTheEngine kills the engine between two equal inserts.
func TestATokenOutlivesTheEngine(t *testing.T) {
	c := clickhousetest.Open(t, clickhousetest.Config(t))
	tables(t, c)
	for range 3 {
		if _, err := c.Insert(t.Context(), rows(1000, "a")); err != nil {
			t.Fatal(err)
		}
		clickhousetest.Kill(t, c)
	}
	for _, table := range []string{"plain", "grouped"} {
		if n := number(t, c, "SELECT sum(count) FROM "+c.Table(table)); n != 1000 {
			t.Errorf("%s counts %d, want 1000", table, n)
		}
	}
}

// TestMemoryIsFreeAfterInsert cancels inserts whose body is still being read; the race detector sees a late reader.
func TestMemoryIsFreeAfterInsert(t *testing.T) {
	enough := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 1000)
		<-enough
	}))
	defer slow.Close()
	defer close(enough)
	c, err := clickhouse.New(clickhouse.Config{URL: slow.URL})
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float64, 4<<20)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := c.Insert(ctx, clickhouse.InsertOptions{Table: "t", Rows: len(values), Columns: []clickhouse.Column{
			{Name: "value", Type: "Float64", Data: clickhouse.Numbers(values)},
		}})
		cancel()
		if err == nil {
			t.Fatal("the insert succeeded")
		}
		for i := range values {
			values[i]++
		}
	}
}

func TestClasses(t *testing.T) {
	status := func(status int, text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	f := func(want clickhouse.Class, timeout time.Duration, handler http.HandlerFunc) {
		t.Helper()
		server := httptest.NewServer(handler)
		defer server.Close()
		c, err := clickhouse.New(clickhouse.Config{URL: server.URL, Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Insert(t.Context(), rows(10, "a"))
		if err == nil || clickhouse.ClassOf(err) != want {
			t.Errorf("got %q of %v, want %q", clickhouse.ClassOf(err), err, want)
		}
	}
	f(clickhouse.Overloaded, time.Minute, status(500, "Code: 252. DB::Exception: Too many parts"))
	f(clickhouse.Overloaded, time.Minute, status(500, "Code: 241. DB::Exception: Memory limit exceeded"))
	f(clickhouse.Overloaded, time.Minute, status(429, "slow down"))
	f(clickhouse.Unavailable, time.Minute, status(500, "Code: 242. DB::Exception: Table is in readonly mode"))
	f(clickhouse.Unavailable, time.Minute, status(502, "bad gateway"))
	f(clickhouse.Denied, time.Minute, status(403, "Code: 516. DB::Exception: Authentication failed"))
	f(clickhouse.Refused, time.Minute, status(404, "Code: 60. DB::Exception: Unknown table"))
	f(clickhouse.Refused, time.Minute, status(200, "Code: 27. DB::Exception: found late"))
	f(clickhouse.Overloaded, 200*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	f(clickhouse.Unreachable, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	})
}

func TestNobodyListens(t *testing.T) {
	c, err := clickhouse.New(clickhouse.Config{URL: "http://127.0.0.1:1"}) // no test is given that port
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context()); clickhouse.ClassOf(err) != clickhouse.Unreachable {
		t.Errorf("ready: got %v, want it unreachable", err)
	}
	if _, err := c.Insert(t.Context(), rows(1, "a")); clickhouse.ClassOf(err) != clickhouse.Unreachable {
		t.Errorf("insert: got %v, want it unreachable", err)
	}
}
