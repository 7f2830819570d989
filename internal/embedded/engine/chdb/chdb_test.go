package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
)

// db is the one engine that this process may have.
var db *chdb.DB

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	path, err := library.Install(context.Background(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "chdb-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if db, err = chdb.Open(path, dir, "max_server_memory_usage=4000000000"); err != nil {
		return 0, err
	}
	code = m.Run()
	if err := db.Close(); err != nil {
		return code, err
	}
	if _, err := db.Connect("late"); !errors.Is(err, chdb.ErrClosed) {
		return code, fmt.Errorf("connect after close: got %w, want ErrClosed", err)
	}
	return code, nil
}

func open(t testing.TB, tag string) *chdb.Conn {
	t.Helper()
	conn, err := db.Connect(tag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func query(t testing.TB, conn *chdb.Conn, statement string, params ...chdb.Param) string {
	t.Helper()
	result, err := conn.Query(statement, "TSV", params)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer result.Close()
	return string(result.Data)
}

func TestQuery(t *testing.T) {
	conn := open(t, "query")
	if got := query(t, conn, "SELECT {x:String}, {y:UInt8}", chdb.Param{Name: "x", Value: "it's"}, chdb.Param{Name: "y", Value: "7"}); got != "it\\'s\t7\n" {
		t.Errorf("got %q", got)
	}
	if got := query(t, conn, "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'"); got != "4000000000\n" {
		t.Errorf("an option of Open did not arrive: %q", got)
	}
	_, err := conn.Query("SELECT * FROM nope", "TSV", nil)
	var exception *chdb.Error
	if !errors.As(err, &exception) || !strings.HasPrefix(exception.Text, "Code: 60. ") {
		t.Errorf("got %v", err)
	}
}

func TestStream(t *testing.T) {
	conn := open(t, "stream")
	stream, err := conn.Stream("SELECT number FROM numbers(1000000)", "TSV", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	var lines, rows, pieces int
	for {
		piece, err := stream.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(piece.Data), "\n")
		rows, pieces = rows+int(piece.Rows), pieces+1
		piece.Close()
	}
	if lines != 1_000_000 || rows != lines || pieces < 2 {
		t.Errorf("got %d lines, %d rows, %d pieces", lines, rows, pieces)
	}
}

func TestAStreamMayBeLeft(t *testing.T) {
	conn := open(t, "left")
	stream, err := conn.Stream("SELECT number FROM numbers(100000000000)", "Native", nil)
	if err != nil {
		t.Fatal(err)
	}
	piece, err := stream.Next()
	if err != nil {
		t.Fatal(err)
	}
	piece.Close()
	stream.Close()
	if got := query(t, conn, "SELECT 1"); got != "1\n" {
		t.Errorf("got %q after a stream that was left", got)
	}
	if _, err := conn.Stream("SHOW TABLES", "TSV", nil); err == nil {
		t.Error("a statement that cannot be streamed was taken")
	}
}

func TestInsert(t *testing.T) {
	conn := open(t, "insert")
	query(t, conn, "CREATE TABLE inserted (a UInt64, b String) ENGINE=MergeTree ORDER BY a")
	result, err := conn.Insert("INSERT INTO inserted (a, b)", "TSV", []byte("1\tone\n2\ttwo\n"), nil)
	if err != nil || result.RowsWritten != 2 {
		t.Fatalf("got %+v, %v", result, err)
	}
	result.Close()
	f := func(statement, data, want string) {
		t.Helper()
		if _, err := conn.Insert(statement, "TSV", []byte(data), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s with %q: got %v, want %q", statement, data, err, want)
		}
	}
	f("INSERT INTO inserted", "3\tthree\nx\tfour\n", "Code: 27.")
	f("INSERT INTO nope", "3\n", "Code: 60.")
	if got := query(t, conn, "SELECT count() FROM inserted"); got != "2\n" {
		t.Errorf("got %q rows", got)
	}
}

func TestKill(t *testing.T) {
	conn, other := open(t, "victim"), open(t, "other")
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Query("SELECT max(sipHash64(number)) FROM numbers(100000000000)", "TSV", nil)
		ended <- err
	}()
	for deadline := time.Now().Add(time.Minute); query(t, other, "SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'victim'") != "1\n"; {
		if time.Now().After(deadline) {
			t.Fatal("the query does not run")
		}
	}
	if err := db.Kill("victim"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "Code: 394.") {
		t.Errorf("got %v, want QUERY_WAS_CANCELLED", err)
	}
	if got := query(t, conn, "SELECT 1"); got != "1\n" {
		t.Errorf("got %q after a kill", got)
	}
}

func TestManyConnectionsAtOnce(t *testing.T) {
	var many sync.WaitGroup
	for i := range 16 {
		many.Go(func() {
			for range 20 {
				conn, err := db.Connect("many")
				if err != nil {
					t.Error(err)
					return
				}
				if err := conn.Exec(fmt.Sprintf("SET max_block_size = %d", 100+i)); err != nil {
					t.Error(err)
				}
				result, err := conn.Query("SELECT getSetting('max_block_size')", "TSV", nil)
				if err != nil || string(result.Data) != fmt.Sprintf("%d\n", 100+i) {
					t.Errorf("got %v, %v", result, err)
				}
				conn.Close()
			}
		})
	}
	many.Wait()
}

// BenchmarkInsert is the ceiling of what goes through HTTP: the same data straight into the library.
func BenchmarkInsert(b *testing.B) {
	for _, rows := range []int{100_000, 500_000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			conn := open(b, "bench")
			query(b, conn, "CREATE OR REPLACE TABLE bench (a LowCardinality(String), b LowCardinality(String), t DateTime64(6, 'UTC'), f Float64, i Int64, u UInt32) ENGINE=MergeTree ORDER BY (a, b, t)")
			data, err := conn.Query(fmt.Sprintf("SELECT toLowCardinality('d' || toString(number %% 500)) AS a, toLowCardinality('m' || toString(number %% 7)) AS b, toDateTime64(1780000000 + number / 1000, 6, 'UTC') AS t, number / 3 AS f, toInt64(number) AS i, toUInt32(number) AS u FROM numbers(%d) SETTINGS max_threads = 1", rows), "Native", nil)
			if err != nil {
				b.Fatal(err)
			}
			defer data.Close()
			if err := conn.Exec("SET async_insert = 0, min_insert_block_size_rows = 1000000, min_insert_block_size_bytes = 0, max_insert_block_size = 1000000"); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data.Data)))
			for b.Loop() {
				result, err := conn.Insert("INSERT INTO bench", "Native", data.Data, nil)
				if err != nil {
					b.Fatal(err)
				}
				result.Close()
			}
			b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
