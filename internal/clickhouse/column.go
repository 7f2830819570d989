package clickhouse

import (
	"encoding/binary"
	"unsafe"
)

// Column is a column of one block in ClickHouse's Native format.
type Column struct {
	// Name is that of the table's column.
	Name string
	// Type is the data's type as ClickHouse writes it. Where it differs from the table's type the server converts.
	Type string
	// Data holds the cells.
	Data Data
}

// Data is a column's cells. They are referred to, not copied.
type Data interface {
	// rows returns their number.
	rows() int
	// prefix writes what the format has before the data of a column.
	prefix(b *block)
	// data writes the cells.
	data(b *block)
}

// Number is a type whose memory is what ClickHouse reads, on a little-endian machine.
type Number interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int8 | ~int16 | ~int32 | ~int64 | ~float64 | ~[32]byte
}

// Numbers is data of fixed width: integers, doubles, times, enumerations, 256-bit numbers.
func Numbers[T Number](cells []T) Data { return numbers[T](cells) }

type numbers[T Number] []T

func (n numbers[T]) rows() int     { return len(n) }
func (n numbers[T]) prefix(*block) {}
func (n numbers[T]) data(b *block) { b.refer(memory(n)) }

// memory returns the bytes of cells.
func memory[T Number](cells []T) []byte {
	var cell T
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(cells))), len(cells)*int(unsafe.Sizeof(cell)))
}

// Packed is data of type String that is in the format's own form already: each text preceded by its length as a varint.
func Packed(texts []byte, rows int) Data { return packed{texts, rows} }

type packed struct {
	texts []byte
	count int
}

func (p packed) rows() int     { return p.count }
func (p packed) prefix(*block) {}
func (p packed) data(b *block) { b.refer(p.texts) }

// Coded is data of type LowCardinality(String): indexes into a dictionary of distinct texts.
func Coded(index []uint32, values []string) Data { return coded{index, values} }

type coded struct {
	index  []uint32
	values []string
}

// The words of the format, see ClickHouse's SerializationLowCardinality.
const (
	lowCardinalityVersion = 1
	hasAdditionalKeys     = 1 << 9
	updateDictionary      = 1 << 10
	keysAreUint8          = 0
	keysAreUint16         = 1
	keysAreUint32         = 2
)

func (c coded) rows() int       { return len(c.index) }
func (c coded) prefix(b *block) { b.uint64(lowCardinalityVersion) }

func (c coded) data(b *block) {
	if len(c.index) == 0 {
		return
	}
	keys := uint64(keysAreUint32)
	switch {
	case len(c.values) <= 1<<8:
		keys = keysAreUint8
	case len(c.values) <= 1<<16:
		keys = keysAreUint16
	}
	b.uint64(hasAdditionalKeys | updateDictionary | keys)
	b.uint64(uint64(len(c.values)))
	for _, s := range c.values {
		b.text(s)
	}
	b.uint64(uint64(len(c.index)))
	switch keys {
	case keysAreUint8:
		narrow8(b.grow(len(c.index)), c.index)
	case keysAreUint16:
		narrow16(b.grow(2*len(c.index)), c.index)
	default:
		b.refer(memory(c.index))
	}
}

// narrow8 writes indexes in a byte each: less to send and to read back than it costs to copy.
func narrow8(cells []byte, index []uint32) {
	for i, v := range index {
		cells[i] = byte(v)
	}
}

// narrow16 writes indexes in two bytes each.
func narrow16(cells []byte, index []uint32) {
	for i, v := range index {
		binary.LittleEndian.PutUint16(cells[2*i:], uint16(v))
	}
}

// Map is data of type Map(K, V): ends[i] is where row i's entries end in keys and values.
func Map(ends []uint64, keys, values Data) Data { return entries{ends, keys, values} }

type entries struct {
	ends         []uint64
	keys, values Data
}

func (e entries) rows() int { return len(e.ends) }

func (e entries) prefix(b *block) {
	e.keys.prefix(b)
	e.values.prefix(b)
}

func (e entries) data(b *block) {
	b.refer(memory(e.ends))
	e.keys.data(b)
	e.values.data(b)
}

// Same is data of type LowCardinality(String) with one text in every row.
func Same(text string, rows int) Data { return same{text, rows} }

type same struct {
	text  string
	count int
}

func (s same) rows() int       { return s.count }
func (s same) prefix(b *block) { b.uint64(lowCardinalityVersion) }

func (s same) data(b *block) {
	if s.count == 0 {
		return
	}
	b.uint64(hasAdditionalKeys | updateDictionary | keysAreUint8)
	b.uint64(1)
	b.text(s.text)
	b.uint64(uint64(s.count))
	clear(b.grow(s.count))
}

// SameUint32 is data of type UInt32 with one number in every row.
func SameUint32(number uint32, rows int) Data { return sameUint32{number, rows} }

type sameUint32 struct {
	number uint32
	count  int
}

func (s sameUint32) rows() int     { return s.count }
func (s sameUint32) prefix(*block) {}

func (s sameUint32) data(b *block) {
	cells := b.grow(4 * s.count)
	if len(cells) == 0 {
		return
	}
	binary.LittleEndian.PutUint32(cells, s.number)
	for done := 4; done < len(cells); done *= 2 {
		copy(cells[done:], cells[:done])
	}
}
