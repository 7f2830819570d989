package readings

import "unsafe"

// Coded is a column of texts, each an index into the distinct ones.
type Coded struct {
	// Index has an entry a row.
	Index []uint32
	Dictionary
}

// Dictionary gives numbers to texts, from 0 in the order of their first appearance.
type Dictionary struct {
	// Values are the distinct texts. They are valid until the block is reset.
	Values []string

	ids   map[string]uint32
	texts arena
	last  uint32 // the number asked for last, which the next text most likely has too
}

// id returns the number of s, which it copies if it is new.
func (d *Dictionary) id(s string) uint32 {
	if int(d.last) < len(d.Values) && d.Values[d.last] == s {
		return d.last
	}
	id, known := d.ids[s]
	if !known {
		id = d.add(s)
	}
	d.last = id
	return id
}

func (d *Dictionary) add(s string) uint32 {
	if d.ids == nil {
		d.ids = make(map[string]uint32)
	}
	s = d.texts.copy(s)
	id := uint32(len(d.Values))
	d.Values = append(d.Values, s)
	d.ids[s] = id
	return id
}

// is tells whether id is the number of s.
func (d *Dictionary) is(id uint32, s string) bool {
	return int(id) < len(d.Values) && d.Values[id] == s
}

func (d *Dictionary) reset() {
	clear(d.ids)
	d.Values, d.last = d.Values[:0], 0
	d.texts.reset()
}

func (c *Coded) reset() {
	c.Index = c.Index[:0]
	c.Dictionary.reset()
}

// arena holds the bytes of texts. They do not move when it grows.
type arena struct {
	chunks [][]byte // all of them; the first used ones are full
	used   int
	size   int
}

const chunkSize = 64 << 10

func (a *arena) copy(s string) string {
	if s == "" {
		return ""
	}
	a.size += len(s)
	if len(s) > chunkSize/4 {
		return string([]byte(s))
	}
	if a.used == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, 0, chunkSize))
	}
	chunk := a.chunks[a.used]
	if len(chunk)+len(s) > cap(chunk) {
		a.used++
		a.size -= len(s)
		return a.copy(s)
	}
	start := len(chunk)
	a.chunks[a.used] = append(chunk, s...)
	return unsafe.String(&a.chunks[a.used][start], len(s))
}

func (a *arena) reset() {
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.used, a.size = 0, 0
}
