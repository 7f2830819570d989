package engine_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
)

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
			run(`CREATE TABLE kinds (s String, l LowCardinality(String), t DateTime64(6,'UTC'), f Float64, i Int64, u UInt32, big UInt64,
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
					if err := batch.Append(fmt.Sprint("s", i), fmt.Sprint("l", i%3), now, 21.5, int64(-i), uint32(i), uint64(1)<<63, id, "integer",
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

// TestEveryTypeIsRead reads each type with the published client, which asks for Native at its own revision.
func TestEveryTypeIsRead(t *testing.T) {
	conn := connect(t, start(t, t.TempDir()), clickhouse.CompressionLZ4)
	f := func(expression, want string) {
		t.Helper()
		rows, err := conn.Query(t.Context(), "SELECT "+expression+" AS v, 'after' AS a FROM numbers(2)")
		if err != nil {
			t.Errorf("%s: %v", expression, err)
			return
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			value, after := reflect.New(rows.ColumnTypes()[0].ScanType()), ""
			if err := rows.Scan(value.Interface(), &after); err != nil {
				t.Errorf("%s: %v", expression, err)
				return
			}
			got := value.Elem()
			for got.Kind() == reflect.Pointer && !got.IsNil() && !got.Type().Implements(reflect.TypeFor[fmt.Stringer]()) {
				got = got.Elem()
			}
			if text := fmt.Sprint(got.Interface()); text != want || after != "after" {
				t.Errorf("%s: got %q %q, want %q", expression, text, after, want)
			}
		}
		if err := rows.Err(); err != nil || n != 2 {
			t.Errorf("%s: got %d rows (%v)", expression, n, err)
		}
	}
	f("number * 0 + 18446744073709551615", "18446744073709551615")
	f("toInt8(-1)", "-1")
	f("true", "true")
	f("1.5::Float32", "1.5")
	f("'x'", "x")
	f("'ab'::FixedString(2)", "ab")
	f("NULL::Nullable(String)", "<nil>")
	f("1::Nullable(UInt8)", "1")
	f("'l'::LowCardinality(String)", "l")
	f("'l'::LowCardinality(Nullable(String))", "l")
	f("toDate('2026-01-02')", "2026-01-02 00:00:00 +0000 UTC")
	f("toDate32('2026-01-02')", "2026-01-02 00:00:00 +0000 UTC")
	f("toDateTime('2026-01-02 03:04:05')", "2026-01-02 03:04:05 +0000 UTC")
	f("toDateTime64('2026-01-02 03:04:05.123456', 6, 'UTC')", "2026-01-02 03:04:05.123456 +0000 UTC")
	f("toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')", "61f0c404-5cb3-11e7-907b-a6006ad3dba0")
	f("'b'::Enum8('a' = 1, 'b, (' = 2, 'b' = 3)", "b")
	f("'b'::Enum16('a' = 1, 'b' = 1000)", "b")
	f("1.25::Decimal(9, 2)", "1.25")
	f("1.25::Decimal(76, 2)", "1.25")
	f("toUInt256(7)", "7")
	f("[1, 2]::Array(UInt8)", "[1 2]")
	f("[]::Array(LowCardinality(String))", "[]")
	f("[['a'], []]::Array(Array(LowCardinality(String)))", "[[a] []]")
	f("map('k', 1)::Map(LowCardinality(String), UInt8)", "map[k:1]")
	f("map()::Map(LowCardinality(String), Array(Nullable(Float64)))", "map[]")
	f("(1, 'x')::Tuple(UInt8, String)", "[1 x]")
	f("(1, 'x')::Tuple(a UInt8, b LowCardinality(String))", "map[a:1 b:x]")
	f("toIPv4('127.0.0.1')", "127.0.0.1")
	f("toIPv6('::1')", "::1")
	f("(1.5, 2.5)::Point", "[1.5 2.5]")
	f("toIntervalDay(2)", "2 Days")
	f("7::SimpleAggregateFunction(sum, UInt64)", "7")

	rows, err := conn.Query(t.Context(), "SELECT 1 AS a WHERE 0")
	if err != nil || rows.Next() || rows.Err() != nil {
		t.Errorf("no rows: got %v", err)
	}
	refused := func(expression string) {
		t.Helper()
		if _, err := conn.Query(t.Context(), "SELECT "+expression); err == nil || !strings.Contains(err.Error(), "cannot be sent") {
			t.Errorf("%s: got %v, want a refusal", expression, err)
		}
	}
	refused("1::Dynamic")
	refused("sumState(1)")
}

// TestQueriesDuringInserts sees only whole blocks, at any time.
func TestQueriesDuringInserts(t *testing.T) {
	e := start(t, t.TempDir())
	conn := connect(t, e, clickhouse.CompressionNone)
	if err := conn.Exec(t.Context(), "CREATE TABLE t (a UInt64, b UInt64) ENGINE=MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	const writers, blocks, rows = 4, 15, 1000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var writing, reading sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for b := range blocks {
				if err := insertBlock(ctx, conn, uint64(w*blocks+b), rows); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 4 {
		reading.Go(func() {
			for ctx.Err() == nil {
				var torn uint64
				err := conn.QueryRow(t.Context(), "SELECT count() FROM (SELECT b FROM t GROUP BY b HAVING count() != 1000)").Scan(&torn)
				if err != nil || torn != 0 {
					t.Errorf("got %d torn blocks (%v)", torn, err)
					return
				}
			}
		})
	}
	writing.Wait()
	cancel()
	reading.Wait()
	var count uint64
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&count); err != nil || count != writers*blocks*rows {
		t.Errorf("got %d rows (%v), want %d", count, err, writers*blocks*rows)
	}
}

func insertBlock(ctx context.Context, conn driver.Conn, block uint64, rows int) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
	if err != nil {
		return err
	}
	for i := range rows {
		if err := batch.Append(uint64(i), block); err != nil {
			return err
		}
	}
	return batch.Send()
}
