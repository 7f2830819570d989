package duplicates

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/fieldlog/fieldlog/schemas"
)

const full = 1_000_000 // a window of the default size

// keys returns the keys of 65,536 devices and as many ids.
func keys() (keys, ids [][]byte) {
	for n := range 1 << 16 {
		keys = append(keys, fmt.Appendf(nil, "client-%03d/device-%06d", n%20, n))
		ids = append(ids, fmt.Appendf(nil, "018f2d3a-0000-7000-8000-%012d", n))
	}
	return keys, ids
}

// BenchmarkWindow adds records to a full window of the default size. The ceilings: "hash" is Identify alone, "map" is Go's map
// with the same ring of ids and nothing else.
func BenchmarkWindow(b *testing.B) {
	keys, ids := keys()
	b.Run("hash", func(b *testing.B) {
		for n := 0; b.Loop(); n++ {
			Identify(keys[n&0xffff], []byte("http"), ids[n&0xffff])
		}
	})
	b.Run("window", func(b *testing.B) {
		before := heap()
		w := New(Limits{})
		n := int64(0)
		add := func() {
			w.Add(ID{uint32(n) * 2654435769, uint32(n >> 32), 1}, n, schemas.Time(n)*10_000)
			n++
		}
		for n < 2*full {
			add()
		}
		bytes := heap() - before
		b.ReportAllocs()
		for b.Loop() {
			add()
		}
		b.ReportMetric(float64(bytes)/float64(w.Entries()), "B/entry")
	})
	b.Run("map", func(b *testing.B) {
		before := heap()
		m, ring := map[ID]int64{}, make([]ID, full)
		n := int64(0)
		add := func() {
			delete(m, ring[n%full])
			ring[n%full] = ID{uint32(n) * 2654435769, uint32(n >> 32), 1}
			m[ring[n%full]] = n
			n++
		}
		for n < 2*full {
			add()
		}
		bytes := heap() - before
		for b.Loop() {
			add()
		}
		b.ReportMetric(float64(bytes)/full, "B/entry")
		runtime.KeepAlive(m)
	})
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
