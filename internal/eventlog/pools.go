package eventlog

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// newPools lets fetched records and decompressed bytes be used again once their worker has folded them.
func newPools() []kgo.Pool { return []kgo.Pool{&bytesPool{}, &recordsPool{}} }

type bytesPool struct{ pool sync.Pool }

// GetDecompressBytes implements kgo.PoolDecompressBytes.
func (p *bytesPool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, 4*len(compressed))
}

// PutDecompressBytes implements kgo.PoolDecompressBytes.
func (p *bytesPool) PutDecompressBytes(b []byte) { p.pool.Put(&b) }

type recordsPool struct{ pool sync.Pool }

// GetRecords implements kgo.PoolRecords.
func (p *recordsPool) GetRecords(n int) []kgo.Record {
	if r, ok := p.pool.Get().(*[]kgo.Record); ok && cap(*r) >= n {
		return (*r)[:0]
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords implements kgo.PoolRecords.
func (p *recordsPool) PutRecords(r []kgo.Record) { p.pool.Put(&r) }
