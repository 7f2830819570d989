package wire

import "strings"

// statement is what a scan of a statement finds out, no more than is needed to route it.
type statement struct {
	insert  bool   // its first word is INSERT
	selects bool   // an INSERT whose data comes from a SELECT
	values  bool   // an INSERT ... VALUES
	format  string // of FORMAT
	head    string // an INSERT up to FORMAT or VALUES
	tail    []byte // the data that follows in the same text
}

// dataFormat returns the format of an INSERT's data.
func (s *statement) dataFormat() string {
	if s.format == "" {
		return "Values"
	}
	return s.format
}

// scan reads a statement's words, past comments and quoted texts. It knows just enough of the grammar to tell an INSERT with
// data from everything else and to find FORMAT; the engine parses what it is given for itself.
func scan(text string) statement {
	s := statement{head: text}
	depth, first, previous := 0, true, ""
	for at := 0; at < len(text); {
		word, start, end := nextWord(text, at, &depth)
		if end < 0 {
			break
		}
		at = end
		upper := strings.ToUpper(word)
		if first {
			s.insert, first = upper == "INSERT", false
		}
		if previous == "FORMAT" && depth == 0 {
			s.format = word
			if s.insert {
				s.tail = []byte(afterFormat(text[end:]))
				return s
			}
		}
		previous = ""
		if depth != 0 {
			continue
		}
		switch {
		case upper == "FORMAT":
			previous = upper
			s.head = text[:start]
		case s.insert && (upper == "SELECT" || upper == "WITH" || upper == "FROM"):
			s.selects = true
			return s
		case s.insert && upper == "VALUES":
			s.values, s.format, s.head, s.tail = true, "Values", text[:start], []byte(text[end:])
			return s
		}
	}
	return s
}

// afterFormat drops the white space up to and including the line's end, as ClickHouse does before an INSERT's data.
func afterFormat(rest string) string {
	trimmed := strings.TrimLeft(rest, " \t\r")
	if after, found := strings.CutPrefix(trimmed, "\n"); found {
		return after
	}
	return trimmed
}

// nextWord finds the next bare word from at on, keeping count of the depth of parentheses. end is -1 when there is none.
func nextWord(text string, at int, depth *int) (word string, start, end int) {
	for at < len(text) {
		switch c := text[at]; {
		case isWordByte(c):
			end = at
			for end < len(text) && isWordByte(text[end]) {
				end++
			}
			return text[at:end], at, end
		case c == '\'' || c == '"' || c == '`':
			at = skipQuoted(text, at)
		case c == '-' && strings.HasPrefix(text[at:], "--"), c == '#':
			at = skipPast(text, at, "\n")
		case c == '/' && strings.HasPrefix(text[at:], "/*"):
			at = skipPast(text, at+2, "*/")
		default:
			if c == '(' {
				*depth++
			} else if c == ')' {
				*depth--
			}
			at++
		}
	}
	return "", 0, -1
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// skipQuoted returns the place after the quoted text that begins at at. Quotes are escaped by a backslash or doubled.
func skipQuoted(text string, at int) int {
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

func skipPast(text string, at int, mark string) int {
	if i := strings.Index(text[at:], mark); i >= 0 {
		return at + i + len(mark)
	}
	return len(text)
}
