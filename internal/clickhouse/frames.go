package clickhouse

import (
	"fmt"

	"github.com/ClickHouse/ch-go/compress"
)

// frameSize is the data in one frame: ClickHouse's own max_compress_block_size.
const frameSize = 1 << 20

// frames compresses pieces into ClickHouse's compressed frames: checksum, method, sizes, LZ4 block. Its memory is used again.
type frames struct {
	writer *compress.Writer
	chunk  []byte
	out    []byte
}

// compress returns the frames of pieces, valid until the next call.
func (f *frames) compress(pieces [][]byte) ([]byte, error) {
	if f.writer == nil {
		f.writer = compress.NewWriter(compress.LevelZero, compress.LZ4)
	}
	f.chunk, f.out = f.chunk[:0], f.out[:0]
	for _, p := range pieces {
		for len(p) > 0 {
			n := min(len(p), frameSize-len(f.chunk))
			f.chunk = append(f.chunk, p[:n]...)
			p = p[n:]
			if len(f.chunk) == frameSize {
				if err := f.flush(); err != nil {
					return nil, err
				}
			}
		}
	}
	if err := f.flush(); err != nil {
		return nil, err
	}
	return f.out, nil
}

func (f *frames) flush() error {
	if len(f.chunk) == 0 {
		return nil
	}
	if err := f.writer.Compress(f.chunk); err != nil {
		return fmt.Errorf("compress block: %w", err)
	}
	f.out, f.chunk = append(f.out, f.writer.Data...), f.chunk[:0]
	return nil
}
