package jsonscan

import (
	"math"
	"strconv"
	"unsafe"
)

// number is a JSON number as it stands.
type number struct {
	raw      []byte
	mantissa uint64 // of the first 19 significant digits
	digits   int    // significant digits, without leading zeros
	exponent int    // the power of ten that the mantissa is to be multiplied with
	negative bool
	whole    bool // has neither fraction nor exponent
}

// number reads a number (RFC 8259, section 6). The position is at its first byte.
func (s *Scanner) number() (n number, ok bool) {
	start := s.pos
	if s.peek() == '-' {
		n.negative = true
		s.pos++
	}
	n.whole = true
	first := s.pos
	s.digits(&n, false)
	if count := s.pos - first; count == 0 {
		return n, s.stop("want a digit")
	} else if count > 1 && s.buf[first] == '0' {
		s.pos = first
		return n, s.stop("a number may not begin with 0")
	}
	if s.peek() == '.' {
		s.pos++
		n.whole = false
		first = s.pos
		if s.digits(&n, true); s.pos == first {
			return n, s.stop("want a digit after the point")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		n.whole = false
		if !s.power(&n) {
			return n, false
		}
	}
	n.raw = s.buf[start:s.pos]
	return n, true
}

// digits adds a run of digits to the mantissa.
func (s *Scanner) digits(n *number, fraction bool) {
	for s.pos < len(s.buf) {
		d := s.buf[s.pos] - '0'
		if d > 9 {
			return
		}
		s.pos++
		switch {
		case n.digits < 19:
			n.mantissa = n.mantissa*10 + uint64(d)
			if n.mantissa > 0 {
				n.digits++
			}
			if fraction {
				n.exponent--
			}
		default:
			n.digits++
			if !fraction {
				n.exponent++
			}
		}
	}
}

// power reads an exponent. Numbers so large that the exponent overflows are left to the general parser.
func (s *Scanner) power(n *number) bool {
	s.pos++
	negative := false
	if c := s.peek(); c == '+' || c == '-' {
		negative = c == '-'
		s.pos++
	}
	first, e := s.pos, 0
	for s.pos < len(s.buf) && s.buf[s.pos]-'0' <= 9 {
		e = min(e*10+int(s.buf[s.pos]-'0'), 100_000)
		s.pos++
	}
	if s.pos == first {
		return s.stop("want a digit after the exponent")
	}
	if negative {
		e = -e
	}
	n.exponent += e
	return true
}

// integer returns the number as a 64-bit integer, if it is whole and fits.
func (n *number) integer() (int64, bool) {
	switch {
	case !n.whole || n.digits > 19:
		return 0, false
	case n.negative && n.mantissa <= 1<<63:
		return -int64(n.mantissa), true
	case !n.negative && n.mantissa < 1<<63:
		return int64(n.mantissa), true
	}
	return 0, false
}

// powers are the powers of ten that a double holds exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// double returns the number as the nearest double, if it is finite. Where mantissa and power are exact, one rounding
// gives the nearest (W. D. Clinger, "How to Read Floating Point Numbers Accurately", 1990); the rest goes to strconv.
func (n *number) double() (float64, bool) {
	if n.digits <= 15 && -22 <= n.exponent && n.exponent <= 22 {
		f := float64(n.mantissa)
		if n.negative {
			f = -f
		}
		if n.exponent < 0 {
			return f / powers[-n.exponent], true
		}
		return f * powers[n.exponent], true
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(n.raw), len(n.raw)), 64)
	return f, err == nil && !math.IsInf(f, 0)
}
