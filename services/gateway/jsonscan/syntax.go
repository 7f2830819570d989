package jsonscan

import (
	"unicode/utf8"
	"unsafe"
)

// class says what a byte means inside a string.
type class uint8

const (
	quote class = 1 << iota
	backslash
	control // below 0x20: not allowed in a string
	high    // 0x80 and up: part of a longer UTF-8 sequence
	odd     // '/' and DEL, which some names may not hold
)

// classes is a table because every byte of every string is looked up in it.
var classes = func() (table [256]class) {
	for c := range 0x20 {
		table[c] = control
	}
	for c := 0x80; c < 0x100; c++ {
		table[c] = high
	}
	table['"'], table['\\'], table['/'], table[0x7f] = quote, backslash, odd, odd
	return table
}()

// peek returns the next byte, 0 at the end.
func (s *Scanner) peek() byte {
	if s.pos < len(s.buf) {
		return s.buf[s.pos]
	}
	return 0
}

// space skips white space.
func (s *Scanner) space() {
	for s.pos < len(s.buf) {
		switch s.buf[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// stop notes that the document is broken here. It returns false, for its callers to return.
func (s *Scanner) stop(reason string) bool {
	if s.pos >= len(s.buf) && reason != "the body is empty" {
		reason = "the text ends too early: " + reason
	}
	s.refusal = &Refusal{Reason: reason, Offset: s.base + s.pos, Broken: true}
	return false
}

// expect skips white space, one byte that must come, and white space again.
func (s *Scanner) expect(c byte, reason string) bool {
	s.space()
	if s.peek() != c {
		return s.stop(reason)
	}
	s.pos++
	s.space()
	return true
}

// members calls member for each name of an object, with the position at its value. The position is at the '{'.
func (s *Scanner) members(member func(name string, flags class) bool) bool {
	s.pos++
	s.space()
	if s.peek() == '}' {
		s.pos++
		return true
	}
	for {
		if s.peek() != '"' {
			return s.stop("want a name in quotes")
		}
		name, flags, ok := s.text()
		if !ok || !s.expect(':', "want ':' after a name") || !member(name, flags) {
			return false
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case '}':
			s.pos++
			return true
		default:
			return s.stop("want ',' or '}' after a value")
		}
	}
}

// elements calls element for each element of an array, with the position at it. The position is at the '['.
func (s *Scanner) elements(element func() bool) bool {
	s.pos++
	s.space()
	if s.peek() == ']' {
		s.pos++
		return true
	}
	for {
		if !element() {
			return false
		}
		s.space()
		switch s.peek() {
		case ',':
			s.pos++
			s.space()
		case ']':
			s.pos++
			return true
		default:
			return s.stop("want ',' or ']' after an element")
		}
	}
}

// text reads a string, whose opening quote is at the position. flags are the classes of its bytes.
func (s *Scanner) text() (text string, flags class, ok bool) {
	start := s.pos + 1
	buf := s.buf
	for i := start; i < len(buf); i++ {
		c := classes[buf[i]]
		if c == 0 {
			continue
		}
		flags |= c
		if c&(quote|backslash|control) == 0 {
			continue
		}
		if c == quote {
			s.pos = i + 1
			raw := buf[start:i]
			if flags&high != 0 && !utf8.Valid(raw) {
				s.pos = start + firstInvalid(raw)
				return "", 0, s.stop("the text is not valid UTF-8")
			}
			return unsafe.String(unsafe.SliceData(raw), len(raw)), flags &^ quote, true
		}
		if s.pos = i; c == control {
			return "", 0, s.stop("a control character stands in a text; write it as an escape")
		}
		return s.escaped(start)
	}
	s.pos = len(buf)
	return "", 0, s.stop("want '\"' at the end of a text")
}

func firstInvalid(raw []byte) int {
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(raw)
}

// escaped reads a string with escapes into the arena. start is after its opening quote; the position is at the first backslash.
func (s *Scanner) escaped(start int) (text string, flags class, ok bool) {
	begin := len(s.arena)
	s.arena = append(s.arena, s.buf[start:s.pos]...)
	for s.pos < len(s.buf) {
		c := s.buf[s.pos]
		switch {
		case c == '"':
			s.pos++
			raw := s.arena[begin:len(s.arena):len(s.arena)]
			if !utf8.Valid(raw) {
				return "", 0, s.stop("the text is not valid UTF-8")
			}
			for _, b := range raw {
				flags |= classes[b]
			}
			return unsafe.String(unsafe.SliceData(raw), len(raw)), flags, true
		case c < 0x20:
			return "", 0, s.stop("a control character stands in a text; write it as an escape")
		case c == '\\':
			if !s.escape() {
				return "", 0, false
			}
		default:
			s.arena = append(s.arena, c)
			s.pos++
		}
	}
	return "", 0, s.stop("want '\"' at the end of a text")
}

// escape reads one escape into the arena.
func (s *Scanner) escape() bool {
	s.pos++
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/':
		s.arena = append(s.arena, c)
	case 'b':
		s.arena = append(s.arena, '\b')
	case 'f':
		s.arena = append(s.arena, '\f')
	case 'n':
		s.arena = append(s.arena, '\n')
	case 'r':
		s.arena = append(s.arena, '\r')
	case 't':
		s.arena = append(s.arena, '\t')
	case 'u':
		return s.unicode()
	default:
		s.pos--
		return s.stop("there is no such escape")
	}
	return true
}

// unicode reads the four digits after \u, and the second half of a surrogate pair where there is one (RFC 8259, section 7).
func (s *Scanner) unicode() bool {
	r, ok := s.hex()
	if !ok {
		return s.stop("want four hexadecimal digits after \\u")
	}
	if r >= 0xd800 && r < 0xe000 {
		if r >= 0xdc00 || s.pos+1 >= len(s.buf) || s.buf[s.pos] != '\\' || s.buf[s.pos+1] != 'u' {
			return s.stop("half a surrogate pair stands alone")
		}
		s.pos += 2
		low, ok := s.hex()
		if !ok || low < 0xdc00 || low >= 0xe000 {
			return s.stop("half a surrogate pair stands alone")
		}
		r = 0x10000 + (r-0xd800)<<10 + (low - 0xdc00)
	}
	s.arena = utf8.AppendRune(s.arena, r)
	return true
}

func (s *Scanner) hex() (rune, bool) {
	if s.pos+4 > len(s.buf) {
		s.pos = len(s.buf)
		return 0, false
	}
	var r rune
	for _, c := range s.buf[s.pos : s.pos+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.pos += 4
	return r, true
}

// maxDepth bounds the nesting of what is skipped.
const maxDepth = 32

// skip reads past a value of any type, as strictly as if it mattered.
func (s *Scanner) skip(depth int) bool {
	if depth > maxDepth {
		return s.stop("values are nested too deeply")
	}
	switch c := s.peek(); {
	case c == '"':
		_, _, ok := s.text()
		return ok
	case c == '{':
		first := len(s.unknown)
		ok := s.members(func(name string, _ class) bool {
			return s.once(first, name) && s.skip(depth+1)
		})
		s.unknown = s.unknown[:first]
		return ok
	case c == '[':
		return s.elements(func() bool { return s.skip(depth + 1) })
	case c == '-' || '0' <= c && c <= '9':
		_, ok := s.number()
		return ok
	}
	return s.literal()
}

// literal reads true, false or null.
func (s *Scanner) literal() bool {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(s.buf)-s.pos >= len(word) && string(s.buf[s.pos:s.pos+len(word)]) == word {
			s.pos += len(word)
			return true
		}
	}
	return s.stop("want a value")
}

// maxUnknown bounds the unknown names that are kept to find duplicates among them.
const maxUnknown = 256

// once refuses the second time that an object has an unknown name. Names from first on are the object's.
func (s *Scanner) once(first int, name string) bool {
	for _, had := range s.unknown[first:] {
		if had == name {
			s.refuse(name, "the name stands twice in its object")
			return true
		}
	}
	if len(s.unknown) == maxUnknown {
		return s.stop("too many unknown names")
	}
	s.unknown = append(s.unknown, name)
	return true
}
