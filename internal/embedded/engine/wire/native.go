package wire

import (
	"encoding/binary"
	"errors"
	"slices"
)

// The library writes Native at revision 0: name, type and data of each column. A client of a later revision expects
// information about the block first, and a byte about the column's serialization before its data (ClickHouse,
// NativeWriter.cpp). The data itself is the same, so it is passed through as it is; only its length has to be found.
const (
	revisionBlockInfo           = 51903
	revisionCustomSerialization = 54454
)

var errShort = errors.New("native block is truncated")

// appendAtRevision appends Native blocks of revision 0 to out, rewritten for a client of a later revision.
func appendAtRevision(out, data []byte, revision int) ([]byte, error) {
	out = slices.Grow(out, len(data)+64)
	c := &cursor{data: data}
	for c.at < len(data) {
		columns, rows := c.uvarint(), c.uvarint()
		if c.short {
			return nil, errShort
		}
		if revision >= revisionBlockInfo {
			out = append(out, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0) // is_overflows=0, bucket_num=-1, end
		}
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(columns)), uint64(rows))
		for range columns {
			start := c.at
			c.skip(c.uvarint()) // name
			kind := string(c.take(c.uvarint()))
			out = append(out, data[min(start, len(data)):c.at]...)
			if revision >= revisionCustomSerialization {
				out = append(out, 0)
			}
			if start = c.at; rows > 0 {
				t, err := typeOf(kind)
				if err != nil {
					return nil, err
				}
				c.prefix(t)
				c.column(t, rows)
			}
			out = append(out, data[start:c.at]...)
			if c.short {
				return nil, errShort
			}
		}
	}
	return out, nil
}

// cursor moves over a block. The first read past the end sets short.
type cursor struct {
	data  []byte
	at    int
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.data)-c.at {
		c.short, c.at = true, len(c.data)
		return nil
	}
	c.at += n
	return c.data[c.at-n : c.at]
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) uvarint() int {
	v, n := binary.Uvarint(c.data[c.at:])
	if n <= 0 || v > 1<<40 {
		c.short, c.at = true, len(c.data)
		return 0
	}
	c.at += n
	return int(v)
}

func (c *cursor) uint64() uint64 {
	b := c.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// prefix skips what stands before the data of a column: the version or mode of each LowCardinality, Variant and JSON in it.
func (c *cursor) prefix(t columnType) {
	switch t.name {
	case "LowCardinality", "JSON":
		c.skip(8)
		return
	case "Variant":
		c.skip(8)
	}
	for _, inner := range t.inner {
		c.prefix(inner)
	}
}

// column skips the data of a column of that many rows.
func (c *cursor) column(t columnType, rows int) {
	switch t.name {
	case "String", "JSON":
		for range rows {
			if c.skip(c.uvarint()); c.short {
				return
			}
		}
	case "Nullable":
		c.skip(rows)
		c.column(t.inner[0], rows)
	case "Array", "Map":
		c.nested(t.inner, rows)
	case "Tuple":
		for _, inner := range t.inner {
			c.column(inner, rows)
		}
	case "LowCardinality":
		c.dictionary(t.inner[0], rows)
	case "Variant":
		c.variant(t.inner, rows)
	default:
		if t.size > 0 && rows > len(c.data)/t.size {
			c.short = true
			return
		}
		c.skip(t.size * rows)
	}
}

// nested skips offsets and then the elements they add up to.
func (c *cursor) nested(inner []columnType, rows int) {
	var total uint64
	for range rows {
		if total = c.uint64(); c.short {
			return
		}
	}
	if total > uint64(len(c.data)) {
		c.short = true
		return
	}
	for _, t := range inner {
		c.column(t, int(total))
	}
}

// variant skips the discriminators and the rows of each type.
func (c *cursor) variant(inner []columnType, rows int) {
	count := make([]int, len(inner))
	for _, discriminator := range c.take(rows) {
		if int(discriminator) < len(inner) { // 255 is NULL
			count[discriminator]++
		}
	}
	for i, t := range inner {
		c.column(t, count[i])
	}
}

// dictionary skips the keys and the indexes of a LowCardinality column.
func (c *cursor) dictionary(inner columnType, rows int) {
	if rows == 0 {
		return
	}
	flags := c.uint64()
	if inner.name == "Nullable" {
		inner = inner.inner[0]
	}
	keys := c.uint64()
	if keys > uint64(len(c.data)) {
		c.short = true
		return
	}
	c.column(inner, int(keys))
	indexes, width := c.uint64(), flags&0xff // 0 to 3: 1, 2, 4 or 8 bytes
	if indexes > uint64(len(c.data)) || width > 3 {
		c.short = true
		return
	}
	c.skip(int(indexes) << width)
}
