package wire

import (
	"bytes"
	"strings"
	"testing"
)

func TestSplitInsert(t *testing.T) {
	f := func(query, body, wantHead, wantFormat, wantData string) {
		t.Helper()
		s, err := split(query, []byte(body))
		if err != nil {
			t.Fatalf("%q %q: %v", query, body, err)
		}
		if !s.hasData || string(s.head) != wantHead || s.format != wantFormat || string(s.data) != wantData {
			t.Errorf("%q %q: got %v head %q, format %q, data %q", query, body, s.hasData, s.head, s.format, s.data)
		}
	}
	f("INSERT INTO t FORMAT Native", "\x01\x02 ;\n", "INSERT INTO t ", "Native", "\x01\x02 ;\n")
	f("", "INSERT INTO t FORMAT Native\n\x01\x02 ;\n", "INSERT INTO t ", "Native", "\x01\x02 ;\n")
	f("insert into t format TSV", "\n\n", "insert into t ", "TSV", "\n\n")
	f("INSERT INTO t", "FORMAT CSV\n1\n", "INSERT INTO t\n", "CSV", "1\n")
	f("INSERT INTO t", "VALUES (1)", "INSERT INTO t\n", "Values", "(1)")
	f("INSERT INTO t VALUES (1, 'FORMAT CSV')", "", "INSERT INTO t ", "Values", "(1, 'FORMAT CSV')\n")
	f("INSERT INTO t (format, `values`) VALUES", "(1,2)", "INSERT INTO t (format, `values`) ", "Values", "(1,2)")
	f("INSERT INTO values VALUES (1)", "", "INSERT INTO values ", "Values", "(1)\n")
	f("INSERT INTO d.format FORMAT CSV;", "1", "INSERT INTO d.format ", "CSV", "1")
	f("INSERT /* FORMAT X */ INTO t -- VALUES\n SETTINGS a='FORMAT Y' FORMAT JSONEachRow {\"a\":1}", "", "INSERT /* FORMAT X */ INTO t -- VALUES\n SETTINGS a='FORMAT Y' ", "JSONEachRow", "{\"a\":1}\n")
}

func TestScanOthers(t *testing.T) {
	f := func(text, wantFormat string, wantStreams bool) {
		t.Helper()
		s := scan([]byte(text))
		format := s.format
		if format == "" {
			format = "Native"
		}
		if s.hasData || s.many || s.file || s.format != wantFormat || s.streams(format) != wantStreams {
			t.Errorf("%q: got %+v, streams %v", text, s, s.streams(format))
		}
	}
	f("", "", false)
	f("SELECT 1", "", true)
	f("SELECT 1;;", "", true)
	f("-- SELECT\nSHOW TABLES", "", false)
	f("SELECT 1 FORMAT JSON", "JSON", false)
	f("select 1 format CSV settings max_threads=1, a='x'", "CSV", true)
	f("SELECT 1 SETTINGS max_threads=1 FORMAT CSVWithNames ;", "CSVWithNames", false)
	f("SELECT format FROM t", "", true)
	f("SELECT 1 AS format", "", true)
	f("SELECT 'a' AS `FORMAT x`, '''; FORMAT JSON' /* FORMAT CSV */ # FORMAT XML", "", true)
	f("SELECT $$; FORMAT JSON$$, $a$'$a$", "", true)
	f("(SELECT 1 FORMAT JSON) UNION ALL SELECT 2", "", true)
	f("WITH 1 AS x SELECT x", "", true)
	f("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "", false)
	f("INSERT INTO t SELECT * FROM values('a UInt8', 1)", "", false)
	f("SELECT 1 SETTINGS output_format_json_array_of_rows=1 FORMAT JSONEachRow", "JSONEachRow", false)
}

func TestSplitRefuses(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := split(text, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	f("SELECT 1; SELECT 2", "SYNTAX_ERROR")
	f("DROP TABLE a ; DROP TABLE b", "SYNTAX_ERROR")
	f("SELECT 1 INTO OUTFILE 'x'", "INTO_OUTFILE_NOT_ALLOWED")
	f("SELECT 1 into/**/outfile 'x' FORMAT CSV", "INTO_OUTFILE_NOT_ALLOWED")
	f("INSERT INTO t FROM INFILE 'x' FORMAT CSV", "INTO_OUTFILE_NOT_ALLOWED")
}

// FuzzSplit holds the ways to send a statement against each other: in the URL, in the body, or half in either, it is the same
// statement with the same data. Nothing is lost or made up on the way.
func FuzzSplit(f *testing.F) {
	f.Add("INSERT INTO t (a) FORMAT TSV", []byte("1\n"))
	f.Add("", []byte("SELECT 'x' FORMAT JSON SETTINGS a=1;"))
	f.Add("SELECT $a$ $a$, `b\\``", []byte("/* -- */"))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		whole := body
		if query != "" {
			whole = append([]byte(query+"\n"), body...)
		}
		s, err := split(query, body)
		same, sameErr := split("", whole)
		if (err == nil) != (sameErr == nil) {
			t.Fatalf("%q and %q: got %v, as one text %v", query, body, err, sameErr)
		}
		if err != nil {
			return
		}
		if s.hasData != same.hasData || s.format != same.format || !bytes.Equal(s.head, same.head) || !bytes.Equal(s.data, same.data) {
			t.Errorf("%q and %q: got %+v, as one text %+v", query, body, s, same)
		}
		if s.hasData && (!bytes.HasPrefix(whole, s.head) || !bytes.HasSuffix(whole, s.data) || len(s.head)+len(s.data) > len(whole)) {
			t.Errorf("head %q and data %q are not of %q", s.head, s.data, whole)
		}
		if !s.hasData && !bytes.HasPrefix(whole, s.text) {
			t.Errorf("%q is not the beginning of %q", s.text, whole)
		}
	})
}
