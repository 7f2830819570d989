package engine_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

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
	if status, text, _ = post(t, e, url.Values{"query": {"SELECT 1"}, "a=1, b": {"1"}}, nil); status != 404 {
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
	f(403, "X-ClickHouse-Key", "wrong")
	f(403, "X-ClickHouse-User", "other", "X-ClickHouse-Key", "secret")
	f(403, "Authorization", "Basic ZGVmYXVsdDp3cm9uZw==")
	f(200, "Authorization", "Basic ZGVmYXVsdDpzZWNyZXQ=")
	f(200, "X-ClickHouse-Key", "secret")
	f(200, "X-ClickHouse-User", "default", "X-ClickHouse-Key", "secret")
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
