package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/wire"
)

// TestMain lets the test binary be the engine's child process.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ENGINE_TEST_DIR"); dir != "" {
		err := engine.Serve(context.Background(), engine.ServeConfig{
			Library: os.Getenv("ENGINE_TEST_LIBRARY"), Dir: dir, Addr: os.Args[len(os.Args)-1], Lifeline: os.Stdin,
			Wire: wire.Config{Password: os.Getenv("ENGINE_TEST_PASSWORD")},
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func start(t testing.TB, dir string, env ...string) *engine.Engine {
	t.Helper()
	path, err := library.Install(t.Context(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{
		Command: []string{os.Args[0]}, Addr: "127.0.0.1:0",
		Env: append(env, "ENGINE_TEST_DIR="+dir, "ENGINE_TEST_LIBRARY="+path),
	}, slog.New(slog.DiscardHandler))
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// post sends a request as curl would.
func post(t testing.TB, e *engine.Engine, params url.Values, body io.Reader, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL()+"/?"+params.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestPlainHTTP(t *testing.T) {
	e := start(t, t.TempDir())
	f := func(query, body string, wantStatus int, want string, headers ...string) {
		t.Helper()
		params := url.Values{}
		if query != "" {
			params.Set("query", query)
		}
		status, text, _ := post(t, e, params, strings.NewReader(body), headers...)
		if status != wantStatus || !strings.Contains(text, want) {
			t.Errorf("%q with body %q: got %d %q, want %d and %q", query, body, status, text, wantStatus, want)
		}
	}
	f("", "", 200, "Ok.")
	f("SELECT 1", "", 200, "1\n")
	f("", "SELECT 2 FORMAT JSONEachRow", 200, `{"2":2}`)
	f("SELECT 'a' AS `FORMAT x`, '''; FORMAT JSON' /* FORMAT CSV */ -- FORMAT XML", "", 200, "a\t\\'; FORMAT JSON\n")
	f("SELECT 3 AS n", "", 200, `{"n":3}`, "X-ClickHouse-Format", "JSONEachRow")
	f("CREATE DATABASE d", "", 200, "")
	f("CREATE TABLE d.t (a UInt64, b String) ENGINE=MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window=100", "", 200, "")
	f("INSERT INTO d.t VALUES (1,'one'), (2,'two FORMAT CSV')", "", 200, "")
	f("INSERT INTO d.t FORMAT JSONEachRow", `{"a":3,"b":"three"}`, 200, "")
	f("", "INSERT INTO d.t (a, b) FORMAT TSV\n4\tfour\n", 200, "")
	f("INSERT INTO d.t SELECT number + 5, 'more' FROM numbers(5)", "", 200, "")
	f("SELECT count(), sum(a) FROM d.t", "", 200, "9\t45\n")
	f("SELECT count() FROM t", "", 200, "9\n", "X-ClickHouse-Database", "d")
	f("SELECT * FROM nope", "", 404, "UNKNOWN_TABLE")
	f("SELEC 1 FROM", "", 400, "Code: 62.")
	f("INSERT INTO d.t FORMAT JSONEachRow", `{"a":"x"}`, 400, "Code: 27.")
	f("SELECT count() FROM d.t", "", 200, "9\n")

	status, text, header := post(t, e, url.Values{"query": {"SELECT {x:String}, getSetting('max_threads')"}, "param_x": {"it's"}, "max_threads": {"1"}}, nil)
	if status != 200 || text != "it\\'s\t1\n" || header.Get("X-ClickHouse-Summary") == "" {
		t.Errorf("got %d %q %v", status, text, header)
	}
	if _, text, _ = post(t, e, url.Values{"query": {"SELECT getSetting('max_threads') > 1 OR 1"}}, nil); text != "1\n" {
		t.Errorf("a setting outlived its query: %q", text)
	}
	if status, text, header = post(t, e, url.Values{"query": {"SELECT 1"}, "no_such_setting": {"1"}}, nil); status != 404 || header.Get("X-ClickHouse-Exception-Code") != "115" {
		t.Errorf("unknown setting: got %d %q", status, text)
	}
	if status, text, _ = post(t, e, url.Values{"query": {"SELECT 1"}, "a=1, b": {"1"}}, nil); status != 400 {
		t.Errorf("a setting's name with SQL in it: got %d %q", status, text)
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	fmt.Fprint(zip, `{"a":100,"b":"zipped"}`)
	zip.Close()
	if status, text, _ = post(t, e, url.Values{"query": {"INSERT INTO d.t FORMAT JSONEachRow"}}, &zipped, "Content-Encoding", "gzip"); status != 200 {
		t.Errorf("gzip body: got %d %q", status, text)
	}
	if _, text, _ = post(t, e, url.Values{"query": {"SELECT b FROM d.t WHERE a = 100"}}, nil); text != "zipped\n" {
		t.Errorf("got %q", text)
	}
}

func TestPasswordIsAsked(t *testing.T) {
	e := start(t, t.TempDir(), "ENGINE_TEST_PASSWORD=secret")
	f := func(want int, headers ...string) {
		t.Helper()
		if status, text, _ := post(t, e, url.Values{"query": {"SELECT 1"}}, nil, headers...); status != want {
			t.Errorf("%v: got %d %q, want %d", headers, status, text, want)
		}
	}
	f(401)
	f(401, "X-ClickHouse-Key", "wrong")
	f(200, "X-ClickHouse-Key", "secret")
	f(200, "X-ClickHouse-User", "default", "X-ClickHouse-Key", "secret")
	f(401, "X-ClickHouse-User", "other", "X-ClickHouse-Key", "secret")
}

func connect(t testing.TB, e *engine.Engine, method clickhouse.CompressionMethod) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{
		Addr: []string{e.Addr()}, Protocol: clickhouse.HTTP, Compression: &clickhouse.Compression{Method: method},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestThePublishedClientWorks(t *testing.T) {
	e := start(t, t.TempDir())
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionLZ4, clickhouse.CompressionZSTD, clickhouse.CompressionGZIP} {
		t.Run(method.String(), func(t *testing.T) {
			conn, ctx := connect(t, e, method), t.Context()
			run := func(query string) {
				t.Helper()
				if err := conn.Exec(ctx, query); err != nil {
					t.Fatalf("%s: %v", query, err)
				}
			}
			if err := conn.Ping(ctx); err != nil {
				t.Fatal(err)
			}
			run("DROP TABLE IF EXISTS kinds")
			run(`CREATE TABLE kinds (s String, l LowCardinality(String), t DateTime64(6,'UTC'), f Float64, i Int64, u UInt32,
				id UUID, e Enum8('double'=0,'integer'=1), m Map(LowCardinality(String),String), a Array(Nullable(Float64)),
				n Nullable(String), p Tuple(x UInt8, y String)) ENGINE=MergeTree ORDER BY s SETTINGS non_replicated_deduplication_window=100`)
			now, id := time.Unix(1780000000, 123456000).UTC(), uuid.New()
			send := func() {
				t.Helper()
				batch, err := conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
					"async_insert": 0, "insert_deduplication_token": "a token"})), "INSERT INTO kinds")
				if err != nil {
					t.Fatal(err)
				}
				for i := range 1000 {
					if err := batch.Append(fmt.Sprint("s", i), fmt.Sprint("l", i%3), now, 21.5, int64(-i), uint32(i), id, "integer",
						map[string]string{"k": "v"}, []*float64{nil}, nil, map[string]any{"x": uint8(1), "y": "two"}); err != nil {
						t.Fatal(err)
					}
				}
				if err := batch.Send(); err != nil {
					t.Fatal(err)
				}
			}
			send()
			send() // the same token: stored once
			var count uint64
			if err := conn.QueryRow(ctx, "SELECT count() FROM kinds").Scan(&count); err != nil || count != 1000 {
				t.Fatalf("got %d rows (%v), want 1000", count, err)
			}
			var got struct {
				S, L, E string
				T       time.Time
				F       float64
				I       int64
				U       uint32
				ID      uuid.UUID
				M       map[string]string
				A       []*float64
				N       *string
			}
			row := conn.QueryRow(ctx, "SELECT s, l, e, t, f, i, u, id, m, a, n FROM kinds WHERE s = 's7'")
			if err := row.Scan(&got.S, &got.L, &got.E, &got.T, &got.F, &got.I, &got.U, &got.ID, &got.M, &got.A, &got.N); err != nil {
				t.Fatal(err)
			}
			if got.L != "l1" || got.E != "integer" || !got.T.Equal(now) || got.I != -7 || got.ID != id || got.M["k"] != "v" || len(got.A) != 1 || got.A[0] != nil || got.N != nil {
				t.Errorf("got %+v", got)
			}
		})
	}
}

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

func TestAClientThatGoesAwayInsertsNothing(t *testing.T) {
	e := start(t, t.TempDir())
	post(t, e, url.Values{"query": {"CREATE TABLE r (a UInt64) ENGINE=MergeTree ORDER BY a"}}, nil)
	body, end := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL()+"/?query=INSERT+INTO+r+FORMAT+TSV", body)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	for i := range 10_000 {
		fmt.Fprintf(end, "%d\n", i)
	}
	end.CloseWithError(io.ErrUnexpectedEOF)
	<-answered
	if _, text, _ := post(t, e, url.Values{"query": {"SELECT count() FROM r"}}, nil); text != "0\n" {
		t.Errorf("got %q rows, want none", text)
	}
}
