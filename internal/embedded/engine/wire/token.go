package wire

import "bytes"

// token is a word, a quoted text, or a single character of a statement.
type token struct {
	start, end int
	word       bool
}

// scanner finds tokens, past white space and comments.
type scanner struct {
	text []byte
	at   int
}

// next returns the next token, false at the end.
func (s *scanner) next() (token, bool) {
	s.skipBlank()
	start := s.at
	if start >= len(s.text) {
		return token{}, false
	}
	switch c := s.text[start]; {
	case isWordByte(c):
		for s.at < len(s.text) && isWordByte(s.text[s.at]) {
			s.at++
		}
		return token{start, s.at, true}, true
	case c == '\'' || c == '"' || c == '`':
		s.at = quotedEnd(s.text, start)
	case c == '$':
		s.at = heredocEnd(s.text, start)
	default:
		s.at++
	}
	return token{start: start, end: s.at}, true
}

// skipBlank moves past white space and comments.
func (s *scanner) skipBlank() {
	for s.at < len(s.text) {
		rest := s.text[s.at:]
		switch {
		case rest[0] <= ' ' && bytes.IndexByte([]byte(" \t\n\r\f\v\x00"), rest[0]) >= 0:
			s.at++
		case bytes.HasPrefix(rest, []byte("--")), bytes.HasPrefix(rest, []byte("# ")), bytes.HasPrefix(rest, []byte("#!")):
			s.skipPast(rest, "\n")
		case bytes.HasPrefix(rest, []byte("/*")):
			s.skipPast(rest, "*/")
		default:
			return
		}
	}
}

func (s *scanner) skipPast(rest []byte, mark string) {
	if i := bytes.Index(rest[2:], []byte(mark)); i >= 0 {
		s.at += 2 + i + len(mark)
		return
	}
	s.at = len(s.text)
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}

// quotedEnd returns the place after the quoted text that begins at at. Quotes are escaped by a backslash or doubled.
func quotedEnd(text []byte, at int) int {
	quote := text[at]
	for at++; at < len(text); at++ {
		switch text[at] {
		case '\\':
			at++
		case quote:
			return at + 1
		}
	}
	return len(text)
}

// heredocEnd returns the place after $tag$...$tag$, or after the single character if there is none.
func heredocEnd(text []byte, at int) int {
	end := at + 1
	for end < len(text) && isWordByte(text[end]) {
		end++
	}
	if end == len(text) || text[end] != '$' {
		return at + 1
	}
	mark := text[at : end+1]
	if i := bytes.Index(text[end+1:], mark); i >= 0 {
		return end + 1 + i + len(mark)
	}
	return at + 1
}
