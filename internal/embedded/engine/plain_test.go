package engine_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
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
	status, text, header = post(t, e, url.Values{"query": {"INSERT INTO {t:Identifier} FORMAT TSV"}, "param_t": {"t"}, "database": {"d"}}, strings.NewReader("50\tfifty\n"))
	if status != 200 || !strings.Contains(header.Get("X-ClickHouse-Summary"), `"written_rows":"1"`) {
		t.Errorf("insert with a parameter: got %d %q %v", status, text, header)
	}
	if status, text, _ = post(t, e, url.Values{}, strings.NewReader("x"), "Content-Type", "multipart/form-data; boundary=x"); status != 501 {
		t.Errorf("multipart: got %d %q", status, text)
	}
	if status, text, _ = post(t, e, url.Values{"query": {"SELECT 1"}, "session_id": {"x"}}, nil); status != 501 || !strings.Contains(text, "no sessions") {
		t.Errorf("session: got %d %q", status, text)
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

func TestANameThatWasMadeToPointHereReadsNothing(t *testing.T) {
	e := start(t, t.TempDir())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+"/?query=SELECT+1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("got %d, want 421", resp.StatusCode)
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

// query is post without a body, which must be answered with 200.
func query(t testing.TB, e *engine.Engine, statement string, params ...string) string {
	t.Helper()
	values := url.Values{"query": {statement}}
	for i := 0; i+1 < len(params); i += 2 {
		values.Set(params[i], params[i+1])
	}
	status, text, _ := post(t, e, values, nil)
	if status != http.StatusOK {
		t.Fatalf("%s: got %d %q", statement, status, text)
	}
	return text
}

// get sends a GET, which net/http does not unpack by itself.
func get(t testing.TB, e *engine.Engine, path string, headers ...string) (int, []byte, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, e.URL()+path, nil)
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
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body, resp.Header
}

func TestNothingOutlivesARequest(t *testing.T) {
	e := start(t, t.TempDir())
	query(t, e, "CREATE DATABASE other")
	for range 20 {
		query(t, e, "SET max_block_size = 77")
		query(t, e, "USE other")
		query(t, e, "CREATE TEMPORARY TABLE gone (a UInt8)")
		query(t, e, "SELECT 1", "max_block_size", "78", "readonly", "1", "database", "other")
		if got := query(t, e, "SELECT getSetting('max_block_size') IN (77, 78), getSetting('readonly'), currentDatabase()"); got != "false\t0\tdefault\n" && got != "0\t0\tdefault\n" {
			t.Fatalf("got %q", got)
		}
		if status, _, _ := post(t, e, url.Values{"query": {"SELECT * FROM gone"}}, nil); status != http.StatusNotFound {
			t.Fatalf("a temporary table is there: %d", status)
		}
	}
}

func TestGETChangesNothing(t *testing.T) {
	e := start(t, t.TempDir())
	query(t, e, "CREATE TABLE t (a UInt8) ENGINE=MergeTree ORDER BY a")
	f := func(statement string, want int, headers ...string) {
		t.Helper()
		if status, text, _ := get(t, e, "/?query="+url.QueryEscape(statement), headers...); status != want {
			t.Errorf("GET %s: got %d %q, want %d", statement, status, text, want)
		}
	}
	f("SELECT 1", 200)
	f("SELECT 1 SETTINGS max_threads=1", 200)
	f("INSERT INTO t VALUES (1)", 500)
	f("INSERT INTO t SELECT 1", 500)
	f("DROP TABLE t", 500)
	f("SELECT 1 INTO OUTFILE 'x'", 500)
	for header, value := range map[string]string{"Origin": "https://example.com", "Sec-Fetch-Site": "cross-site"} {
		if status, text, _ := post(t, e, url.Values{"query": {"DROP TABLE t"}}, nil, header, value); status != 403 {
			t.Errorf("%s %s: got %d %q, want 403", header, value, status, text)
		}
	}
	if got := query(t, e, "SELECT count() FROM t"); got != "0\n" {
		t.Errorf("got %q rows, want none", got)
	}
}

func TestProtocol(t *testing.T) {
	e := start(t, t.TempDir(), "TZ=America/Lima")
	for _, path := range []string{"/ping", "/replicas_status", "/"} {
		if status, text, header := get(t, e, path); status != 200 || string(text) != "Ok.\n" || header.Get("X-ClickHouse-Timezone") != "UTC" {
			t.Errorf("%s: got %d %q %v", path, status, text, header)
		}
	}
	resp, err := http.Head(e.URL() + "/ping")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("HEAD /ping: got %v, %v", resp, err)
	}
	if got := query(t, e, "SELECT timezone(), toDateTime('2026-01-01 00:00:00') = toDateTime(1767225600)"); got != "UTC\t1\n" {
		t.Errorf("got %q", got)
	}
	if got := query(t, e, "SELECT count() FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'"); got != "0\n" {
		t.Errorf("the engine keeps %q logs of its own", got)
	}
	_, text, header := get(t, e, "/?query=SELECT+1&query_id=mine")
	if header.Get("X-ClickHouse-Query-Id") != "mine" || header.Get("X-ClickHouse-Format") != "TabSeparated" || header.Get("Content-Length") != "2" {
		t.Errorf("got %q %v", text, header)
	}
	_, text, header = get(t, e, "/?query=SELECT+count()+FROM+numbers(1000)&compress=1")
	if unpacked, err := io.ReadAll(compress.NewReader(bytes.NewReader(text))); string(unpacked) != "1000\n" {
		t.Errorf("compress=1: got %q (%v)", unpacked, err)
	}
	if !strings.Contains(header.Get("X-ClickHouse-Summary"), `"read_rows":"1000"`) {
		t.Errorf("got %v", header)
	}
	_, text, header = get(t, e, "/?query=SELECT+*+FROM+numbers(10000)", "Accept-Encoding", "gzip")
	unzip, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil || header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("gzip: %v %v", err, header)
	}
	if unpacked, err := io.ReadAll(unzip); err != nil || bytes.Count(unpacked, []byte("\n")) != 10000 {
		t.Errorf("gzip: got %d bytes (%v)", len(unpacked), err)
	}
}

func TestBodyEncodings(t *testing.T) {
	e := start(t, t.TempDir())
	query(t, e, "CREATE TABLE t (a String) ENGINE=MergeTree ORDER BY a")
	f := func(encoding string, pack func(w io.Writer) io.WriteCloser) {
		t.Helper()
		var body bytes.Buffer
		w := pack(&body)
		fmt.Fprintln(w, encoding)
		w.Close()
		whole := bytes.Clone(body.Bytes())
		insert := url.Values{"query": {"INSERT INTO t FORMAT TSV"}}
		if status, text, _ := post(t, e, insert, &body, "Content-Encoding", encoding); status != 200 {
			t.Errorf("%s: got %d %q", encoding, status, text)
		}
		if status, text, _ := post(t, e, insert, bytes.NewReader(whole[:len(whole)-1]), "Content-Encoding", encoding); status != 400 {
			t.Errorf("%s, cut: got %d %q, want 400", encoding, status, text)
		}
		if got := query(t, e, "SELECT count() FROM t WHERE a = '"+encoding+"'"); got != "1\n" {
			t.Errorf("%s: got %q rows", encoding, got)
		}
	}
	f("gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	f("deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
	f("lz4", func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) })
	f("br", func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) })
	f("zstd", func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z })
	if status, _, _ := post(t, e, url.Values{}, strings.NewReader("x"), "Content-Encoding", "snappy"); status != http.StatusUnsupportedMediaType {
		t.Errorf("snappy: got %d", status)
	}
	blocks := compress.NewWriter(compress.LevelZero, compress.ZSTD)
	if err := blocks.Compress([]byte("in blocks\n")); err != nil {
		t.Fatal(err)
	}
	insert := url.Values{"query": {"INSERT INTO t FORMAT TSV"}, "decompress": {"1"}}
	blocks.Data[len(blocks.Data)-1] ^= 1
	if status, text, _ := post(t, e, insert, bytes.NewReader(blocks.Data)); status != 400 {
		t.Errorf("a block with a wrong checksum: got %d %q", status, text)
	}
	blocks.Data[len(blocks.Data)-1] ^= 1
	if status, text, _ := post(t, e, insert, bytes.NewReader(blocks.Data)); status != 200 {
		t.Errorf("decompress=1: got %d %q", status, text)
	}
}

func TestLongAnswers(t *testing.T) {
	e := start(t, t.TempDir())
	const rows = 500_000
	_, text, header := get(t, e, fmt.Sprintf("/?query=SELECT+number+FROM+numbers(%d)", rows))
	if n := bytes.Count(text, []byte("\n")); n != rows || header.Get("Content-Length") != "" {
		t.Errorf("got %d rows, %v", n, header)
	}
	failing := "SELECT throwIf(number = 300000), repeat('x', 50) FROM numbers(4000000) SETTINGS max_threads = 1"
	resp, err := http.Get(e.URL() + "/?query=" + url.QueryEscape(failing))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, err = io.ReadAll(resp.Body); err == nil || !bytes.Contains(text, []byte("FUNCTION_THROW_IF")) {
		t.Errorf("an answer that fails half way looks complete: %v, %q", err, text[max(0, len(text)-200):])
	}
	if status, text, _ := get(t, e, "/?wait_end_of_query=1&query="+url.QueryEscape(failing)); status != 500 {
		t.Errorf("wait_end_of_query: got %d %q", status, text[:min(len(text), 200)])
	}
	if status, text, _ := get(t, e, "/?query="+url.QueryEscape("SELECT repeat('x', 1000) FROM numbers(1000000) FORMAT JSON")); status != 500 || !bytes.Contains(text, []byte("Code: 241")) {
		t.Errorf("an answer of a gigabyte in JSON: got %d %q", status, text[:min(len(text), 300)])
	}
}

func TestAQueryEndsWithItsClient(t *testing.T) {
	e := start(t, t.TempDir())
	running := func() string {
		return query(t, e, "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'")
	}
	await := func(want string) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for running() != want {
			if time.Now().After(deadline) {
				t.Fatalf("got %q queries, want %q", running(), want)
			}
		}
	}
	for _, statement := range []string{"SELECT max(sipHash64(number)) FROM numbers(100000000000)", "SELECT sipHash64(number) FROM numbers(100000000000)", "SELECT max(sipHash64(number)) FROM numbers(100000000000) FORMAT JSON"} {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL(), strings.NewReader(statement))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				<-ctx.Done()
				resp.Body.Close()
			}
		}()
		await("1\n")
		cancel()
		<-ended
		await("0\n")
	}
}
