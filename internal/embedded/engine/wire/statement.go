package wire

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
)

// statement is what a scan of a statement finds out, no more than is needed to route it. The engine parses what it is given
// for itself.
type statement struct {
	text   []byte // as far as it was scanned, an INSERT's data left out
	first  string // the first word in upper case, or character; empty if there is nothing
	format string // of FORMAT, of an INSERT's data or of an answer

	hasData bool   // an INSERT with data that is not the engine's to find
	head    []byte // such an INSERT without FORMAT or VALUES
	data    []byte // and its data, up to the end of the text

	inserts bool // INSERT stands in it outside parentheses
	file    bool // INTO OUTFILE or FROM INFILE
	many    bool // something follows a semicolon
}

// split takes a statement from URL and body, which ClickHouse reads as one text with a line break between. Data is not copied
// if the URL has all of the statement.
func split(query string, body []byte) (statement, error) {
	text := body
	if query != "" {
		text = []byte(query + "\n")
	}
	s := scan(text)
	switch {
	case query == "" || len(body) == 0:
	case s.hasData && len(s.data) == 0:
		s.data = body
	default:
		s = scan(slices.Concat(text, body))
	}
	switch {
	case s.file:
		return s, &failure{http.StatusInternalServerError, 358, "files of the server cannot be read or written by INTO OUTFILE and FROM INFILE. (INTO_OUTFILE_NOT_ALLOWED)"}
	case s.many:
		return s, &failure{http.StatusBadRequest, 62, "Syntax error: multi-statements are not allowed. (SYNTAX_ERROR)"}
	}
	return s, nil
}

// reading is a scan under way.
type reading struct {
	statement
	tokens       scanner
	depth        int    // of parentheses
	before, last string // the two tokens outside parentheses before this one, in upper case
	formatAt     int    // where the last FORMAT begins
	maybe        string // the format, if it is the last clause
}

// scan reads a statement's tokens. It knows just enough of the grammar to tell an INSERT with data from everything else and to
// find FORMAT.
func scan(text []byte) statement {
	r := reading{statement: statement{text: text}, tokens: scanner{text: text}}
	for t, more := r.tokens.next(); more; t, more = r.tokens.next() {
		if r.step(t, upper(text[t.start:t.end])) {
			return r.statement
		}
	}
	if r.maybe != "" {
		r.format = r.maybe
	}
	r.text = bytes.TrimRight(text, "; \t\r\n")
	return r.statement
}

// upper returns a token in upper case, cut where no word of the grammar is so long.
func upper(token []byte) string { return strings.ToUpper(string(token[:min(len(token), 64)])) }

// step takes a token, and tells whether the rest is of no interest.
func (r *reading) step(t token, word string) (done bool) {
	if r.first == "" {
		r.first = word
	}
	if r.many = r.last == ";" && word != ";"; r.many {
		return true
	}
	if r.nests(word) {
		return false
	}
	r.inserts = r.inserts || word == "INSERT"
	r.file = r.file || r.last == "INTO" && word == "OUTFILE" || r.last == "FROM" && word == "INFILE"
	if r.first == "INSERT" {
		done = r.stepInsert(t, word)
	} else {
		r.stepQuery(t, word)
	}
	if word == "FORMAT" {
		r.formatAt = t.start
	}
	r.before, r.last = r.last, word
	return done
}

// nests keeps count of the parentheses, and tells whether this token is inside them or one of them.
func (r *reading) nests(word string) bool {
	switch word {
	case "(":
		r.depth++
	case ")":
		r.depth--
	default:
		return r.depth > 0
	}
	r.before, r.last = r.last, word
	return true
}

// stepQuery finds FORMAT name as the last clause, but for SETTINGS.
func (r *reading) stepQuery(t token, word string) {
	switch {
	case r.maybe != "" && word == "SETTINGS":
		r.format, r.maybe = r.maybe, ""
	case word == ";":
	case r.last == "FORMAT" && t.word:
		r.maybe = string(r.text[t.start:t.end])
	default:
		r.maybe = ""
	}
}

// stepInsert finds where an INSERT's data begins, if it has any.
func (r *reading) stepInsert(t token, word string) (done bool) {
	switch {
	case r.last == "FORMAT" && t.word && !names(r.before):
		r.format = string(r.text[t.start:t.end])
		r.cut(r.formatAt, afterFormat(r.text[t.end:]))
		return true
	case names(r.last):
	case word == "VALUES":
		r.format = "Values"
		r.cut(t.start, afterFormat(r.text[t.end:]))
		return true
	case word == "SELECT", word == "WITH", word == "WATCH":
		return true
	}
	return false
}

// names tells whether the token after this one is a name, whatever it looks like.
func names(word string) bool { return word == "INTO" || word == "TABLE" || word == "." }

// cut ends an INSERT's statement at head and begins its data.
func (r *reading) cut(head int, data []byte) {
	r.hasData, r.head, r.data = true, r.text[:head], data
	r.text = r.text[:len(r.text)-len(data)]
}

// afterFormat drops a semicolon and the white space up to and including the line's end, as ClickHouse does before an
// INSERT's data.
func afterFormat(rest []byte) []byte {
	rest = bytes.TrimLeft(rest, " \t\r")
	if after, found := bytes.CutPrefix(rest, []byte(";")); found {
		rest = bytes.TrimLeft(after, " \t\r")
	}
	if after, found := bytes.CutPrefix(rest, []byte("\n")); found {
		return after
	}
	return rest
}

// streams tells whether the answer can be sent piece by piece: that of a SELECT in a format whose pieces, put one after the
// other, are a document again.
func (s *statement) streams(format string) bool {
	switch s.first {
	case "SELECT", "WITH", "(":
		return !s.inserts && slices.Contains(stateless, format) && !bytes.Contains(s.text, []byte("array_of_rows"))
	}
	return false
}

// stateless are the formats without header, footer and state from row to row.
var stateless = []string{
	"Native", "RowBinary", "TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "CSV", "JSONEachRow", "JSONLines", "NDJSON",
	"JSONStringsEachRow", "JSONCompactEachRow", "JSONCompactStringsEachRow", "LineAsString", "RawBLOB", "TSKV",
}
