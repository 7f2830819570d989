package clickhouse

import (
	"encoding/binary"
	"fmt"
)

// block is one Native block: pieces of the callers' slices and, between them, of its own buffer. Its memory is used again.
type block struct {
	pieces [][]byte
	own    []byte
	start  int // of what is in own but not in pieces yet
	size   int

	frames frames
}

// encode makes the block of columns, all of which have the given number of rows.
func (b *block) encode(columns []Column, rows int) error {
	b.pieces, b.own, b.start, b.size = b.pieces[:0], b.own[:0], 0, 0
	b.own = binary.AppendUvarint(b.own, uint64(len(columns)))
	b.own = binary.AppendUvarint(b.own, uint64(rows))
	for i := range columns {
		c := &columns[i]
		if c.Data.rows() != rows {
			return fmt.Errorf("encode column %q: it has %d rows, the block %d", c.Name, c.Data.rows(), rows)
		}
		b.text(c.Name)
		b.text(c.Type)
		if rows > 0 {
			c.Data.prefix(b)
			c.Data.data(b)
		}
	}
	b.cut()
	return nil
}

func (b *block) text(s string) {
	b.own = binary.AppendUvarint(b.own, uint64(len(s)))
	b.own = append(b.own, s...)
}

func (b *block) uint64(v uint64) { b.own = binary.LittleEndian.AppendUint64(b.own, v) }

// grow appends n bytes that hold anything and returns them.
func (b *block) grow(n int) []byte {
	at := len(b.own)
	if at+n > cap(b.own) {
		b.own = append(b.own, make([]byte, n)...)
	}
	b.own = b.own[:at+n]
	return b.own[at:]
}

// refer adds foreign memory.
func (b *block) refer(p []byte) {
	b.cut()
	if len(p) > 0 {
		b.pieces = append(b.pieces, p)
		b.size += len(p)
	}
}

// cut makes a piece of what was written since the last one. It stays where it is when own grows into new memory.
func (b *block) cut() {
	if b.start < len(b.own) {
		b.pieces = append(b.pieces, b.own[b.start:])
		b.size += len(b.own) - b.start
		b.start = len(b.own)
	}
}

// release forgets the callers' memory.
func (b *block) release() {
	clear(b.pieces)
	b.pieces = b.pieces[:0]
}
