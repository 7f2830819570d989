package engine_test

import (
	"fmt"
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
