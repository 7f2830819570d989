package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeClickHouse stands in for ClickHouse; the tests of the built binary ask the real one.
func fakeClickHouse(t *testing.T, answer http.HandlerFunc) map[string]string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return map[string]string{"FIELDLOG_CLICKHOUSE": server.URL}
}

func TestQuery(t *testing.T) {
	var sql, format, database, user string
	at := fakeClickHouse(t, func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		if _, err := r.Body.Read(body); err != nil && err.Error() != "EOF" {
			t.Error(err)
		}
		q := r.URL.Query()
		sql, format, database, user = string(body), q.Get("default_format"), q.Get("database"), r.Header.Get("X-ClickHouse-User")
		if format == formatCells {
			fmt.Fprint(w, `["device","value"]`+"\n"+`["String","Nullable(Float64)"]`+"\n"+`["pump-7","21.5"]`+"\n"+`["a much longer name",null]`+"\n")
			return
		}
		fmt.Fprint(w, `{"device":"pump-7"}`+"\n")
	})
	file := filepath.Join(t.TempDir(), "q.sql")
	if err := os.WriteFile(file, []byte("SELECT 3"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(wantSQL, wantFormat, wantOut, stdin string, columns int, args ...string) {
		t.Helper()
		got := fieldlogOn(t, columns, at, stdin, append([]string{"query"}, args...)...)
		if got.code != 0 || got.stdout != wantOut {
			t.Errorf("%q: got %+v, want %q", args, got, wantOut)
		}
		if sql != wantSQL || format != wantFormat || database != "fieldlog" {
			t.Errorf("%q: got %q as %q in %q", args, sql, format, database)
		}
	}
	table := `┌────────────────────┬───────┐
│ device             │ value │
├────────────────────┼───────┤
│ pump-7             │  21.5 │
│ a much longer name │  NULL │
└────────────────────┴───────┘
2 rows
`
	const line = `{"device":"pump-7"}` + "\n"
	f("SELECT 1", formatJSON, line, "", 0, "SELECT 1")
	f("SELECT 2", formatJSON, line, "SELECT 2", 0)
	f("SELECT 3", formatJSON, line, "", 0, "--file", file)
	f("SELECT 4", formatJSON, line, "SELECT 4", 0, "--file", "-")
	f("SELECT 1", formatCells, table, "", 80, "SELECT 1")
	f("SELECT 1", formatCells, table, "", 0, "SELECT 1", "--format", "table")
	f("SELECT 1", "CSV", line, "", 80, "SELECT 1", "--format", "CSV", "--clickhouse-user", "ana")
	if user != "ana" {
		t.Errorf("got user %q", user)
	}
}

func TestQueryTellsWhatClickHouseSays(t *testing.T) {
	at := fakeClickHouse(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintln(w, "Code: 60. DB::Exception: Unknown table expression identifier 'nowhere'.")
	})
	got := fieldlog(t, at, "", "query", "SELECT * FROM nowhere")
	if got.code != exitFailure || !strings.Contains(got.stderr, "Code: 60.") || got.stdout != "" {
		t.Errorf("got %+v, want ClickHouse's message", got)
	}
}

func TestQueryOfAStatementWithoutAnswer(t *testing.T) {
	at := fakeClickHouse(t, func(http.ResponseWriter, *http.Request) {})
	if got := fieldlogOn(t, 80, at, "", "query", "CREATE TABLE t (a Int8) ENGINE = Memory"); got.code != 0 || got.stdout != "" {
		t.Errorf("got %+v, want nothing", got)
	}
}

func TestQueryKeepsTheStatementsOwnFormat(t *testing.T) {
	at := fakeClickHouse(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pump-7,21.5\n") })
	got := fieldlogOn(t, 80, at, "", "query", "SELECT device, value FROM readings FORMAT CSV")
	if got.code != 0 || got.stdout != "pump-7,21.5\n" {
		t.Errorf("got %+v, want the answer as it came", got)
	}
}

func TestTable(t *testing.T) {
	wide := table{header: []string{"id", "what it holds"}, right: []bool{true}, rows: [][]string{{"1", strings.Repeat("x", 100)}, {"22", "a\nb\x1b[31m"}}}
	f := func(columns int, want string) {
		t.Helper()
		text := string(wide.text(columns))
		for l := range strings.Lines(text) {
			if columns > 0 && width(strings.TrimSuffix(l, "\n")) > columns {
				t.Errorf("got a line of %d columns, want at most %d: %s", width(l), columns, l)
			}
		}
		if !strings.Contains(text, want) || strings.ContainsRune(text, '\x1b') {
			t.Errorf("got\n%s\nwant %q and no control characters", text, want)
		}
	}
	f(0, strings.Repeat("x", 100))
	f(40, "xxx…")
	f(40, "│ 22 │ a·b·[31m")
}

func TestParseFrom(t *testing.T) {
	now := time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)
	f := func(text string, follow, ok bool) {
		t.Helper()
		if _, err := parseFrom(text, follow, now); (err == nil) != ok {
			t.Errorf("%q: got %v, want accepted %v", text, err, ok)
		}
	}
	for _, text := range []string{"", "start", "end", "0", "17", "-15m", "-1h30m", "2026-11-24", "2026-11-24T04:00:00Z", "2026-11-24T04:00:00.5+01:00"} {
		f(text, false, true)
	}
	for _, text := range []string{"-3", "15m", "tuesday", "2026-13-01", "1.5"} {
		f(text, false, false)
	}
}
