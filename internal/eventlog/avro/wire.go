package avro

import "math"

// appendLong appends a zigzag variable-length integer (Avro specification, "Binary Encoding").
func appendLong(dst []byte, v int64) []byte {
	u := uint64(v)<<1 ^ uint64(v>>63)
	for u >= 0x80 {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

func appendDouble(dst []byte, v float64) []byte {
	u := math.Float64bits(v)
	return append(dst, byte(u), byte(u>>8), byte(u>>16), byte(u>>24), byte(u>>32), byte(u>>40), byte(u>>48), byte(u>>56))
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// source reads Avro binary. The first failure sticks: every later read returns zero, and bad is true.
type source struct {
	buf   []byte
	pos   int
	depth int // of the value that is skipped
	bad   bool
}

func (s *source) fail() { s.bad, s.pos = true, len(s.buf) }

func (s *source) long() int64 {
	if s.pos < len(s.buf) { // one byte: lengths, branches, small numbers
		if b := s.buf[s.pos]; b < 0x80 {
			s.pos++
			return int64(b>>1) ^ -int64(b&1)
		}
	}
	return s.longSlow()
}

func (s *source) longSlow() int64 {
	var u uint64
	for shift := uint(0); shift < 64 && s.pos < len(s.buf); shift += 7 {
		b := s.buf[s.pos]
		s.pos++
		if shift == 63 && b > 1 {
			break
		}
		u |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return int64(u>>1) ^ -int64(u&1)
		}
	}
	s.fail()
	return 0
}

// int reads an Avro int: 32 bits, in five bytes at most.
func (s *source) int() int32 {
	start := s.pos
	v := s.long()
	if v != int64(int32(v)) || s.pos-start > 5 {
		s.fail()
		return 0
	}
	return int32(v)
}

// bytes returns the next length-prefixed bytes, which point into the source.
func (s *source) bytes() []byte {
	n := s.long()
	if n < 0 || n > int64(len(s.buf)-s.pos) {
		s.fail()
		return nil
	}
	b := s.buf[s.pos : s.pos+int(n) : s.pos+int(n)]
	s.pos += int(n)
	return b
}

// fixed returns the next n bytes.
func (s *source) fixed(n int) []byte {
	if n > len(s.buf)-s.pos {
		s.fail()
		return nil
	}
	b := s.buf[s.pos : s.pos+n]
	s.pos += n
	return b
}

func (s *source) double() float64 {
	b := s.fixed(8)
	if b == nil {
		return 0
	}
	_ = b[7]
	return math.Float64frombits(uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56)
}

func (s *source) float() float32 {
	b := s.fixed(4)
	if b == nil {
		return 0
	}
	return math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
}

func (s *source) bool() bool {
	b := s.fixed(1)
	if b == nil || b[0] > 1 {
		s.fail()
		return false
	}
	return b[0] == 1
}

// block returns the number of items of the next block of an array or map; 0 ends it. The number never exceeds the
// bytes that are left, so a hostile count cannot make the reader allocate (items take at least one byte each).
func (s *source) block() int {
	n := s.long()
	if n < 0 {
		n = -n
		s.long() // the block's size in bytes, there for readers who skip
	}
	if n < 0 || n > int64(len(s.buf)-s.pos) {
		s.fail()
		return 0
	}
	return int(n)
}
