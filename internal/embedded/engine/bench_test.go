package engine_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// BenchmarkInsert sends Native blocks through HTTP. Its ceiling is the benchmark of the same name in package chdb. "synced" is
// with fsync of files and folders, as Fieldlog's own tables have it.
func BenchmarkInsert(b *testing.B) {
	e := start(b, b.TempDir())
	const columns = "a LowCardinality(String), b LowCardinality(String), t DateTime64(6, 'UTC'), f Float64, i Int64, u UInt32"
	for _, rows := range []int{100_000, 500_000} {
		for name, settings := range map[string]string{"": "", "synced": " SETTINGS fsync_after_insert=1, fsync_part_directory=1"} {
			b.Run(fmt.Sprint(rows, name), func(b *testing.B) {
				query(b, e, "CREATE OR REPLACE TABLE bench ("+columns+") ENGINE=MergeTree ORDER BY (a, b, t)"+settings)
				data := query(b, e, fmt.Sprintf("SELECT toLowCardinality('d' || toString(number %% 500)) AS a, toLowCardinality('m' || toString(number %% 7)) AS b, toDateTime64(1780000000 + number / 1000, 6, 'UTC') AS t, number / 3 AS f, toInt64(number) AS i, toUInt32(number) AS u FROM numbers(%d) SETTINGS max_threads = 1 FORMAT Native", rows))
				insert := url.Values{
					"query": {"INSERT INTO bench FORMAT Native"}, "async_insert": {"0"}, "min_insert_block_size_rows": {"1000000"},
					"min_insert_block_size_bytes": {"0"}, "max_insert_block_size": {"1000000"},
				}
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					if status, text, _ := post(b, e, insert, bytes.NewReader([]byte(data))); status != http.StatusOK {
						b.Fatalf("got %d %q", status, text)
					}
				}
				b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// BenchmarkSelect reads Native blocks of a client's revision through HTTP.
func BenchmarkSelect(b *testing.B) {
	e := start(b, b.TempDir())
	for name, statement := range map[string]string{
		"one row":   "SELECT 1",
		"1M rows":   "SELECT number, number / 3 FROM numbers(1000000)",
		"1M String": "SELECT toString(number) FROM numbers(1000000)",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				text := query(b, e, statement, "default_format", "Native", "client_protocol_version", "54460", "enable_http_compression", "0")
				b.SetBytes(int64(len(text)))
			}
		})
	}
}
