package clickhouse

import (
	"fmt"
	"io"
	"testing"
)

// BenchmarkEncode measures columns to the bytes that are sent. "copy" is the ceiling: moving the same bytes.
func BenchmarkEncode(b *testing.B) {
	const rows = 200_000
	index, names := make([]uint32, rows), make([]string, 20_000)
	times, values := make([]int64, rows), make([]float64, rows)
	for i := range names {
		names[i] = fmt.Sprintf("device-%06d", i)
	}
	for i := range rows {
		index[i], times[i], values[i] = uint32(i/10), 1_795_000_000_000_000+int64(i/10)*1000, float64(i%1000)/4
	}
	columns := []Column{
		{"client", "LowCardinality(String)", Coded(index, names)},
		{"device", "LowCardinality(String)", Coded(index, names)},
		{"metric", "LowCardinality(String)", Coded(index, names)},
		{"time", "DateTime64(6, 'UTC')", Numbers(times)},
		{"value", "Float64", Numbers(values)},
		{"integer", "Int64", Numbers(times)},
		{"received", "DateTime64(6, 'UTC')", Numbers(times)},
		{"topic", "LowCardinality(String)", Same("telemetry", rows)},
		{"partition", "UInt32", SameUint32(7, rows)},
		{"offset", "UInt64", Numbers(times)},
	}
	measure := func(name string, f func(b *testing.B, blk *block)) {
		b.Run(name, func(b *testing.B) {
			blk := new(block)
			b.ReportAllocs()
			for b.Loop() {
				f(b, blk)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
		})
	}
	encode := func(b *testing.B, blk *block) {
		if err := blk.encode(columns, rows); err != nil {
			b.Fatal(err)
		}
	}
	whole := new(block)
	encode(b, whole)
	target := make([]byte, whole.size)
	measure("copy", func(*testing.B, *block) {
		at := 0
		for _, p := range whole.pieces {
			at += copy(target[at:], p)
		}
	})
	measure("plain", encode)
	measure("plain, read as a body", func(b *testing.B, blk *block) {
		encode(b, blk)
		send := bodies{pieces: blk.pieces}
		body, _ := send.next()
		if _, err := io.Copy(io.Discard, body); err != nil {
			b.Fatal(err)
		}
	})
	measure("lz4", func(b *testing.B, blk *block) {
		encode(b, blk)
		if _, err := blk.frames.compress(blk.pieces); err != nil {
			b.Fatal(err)
		}
	})
}
