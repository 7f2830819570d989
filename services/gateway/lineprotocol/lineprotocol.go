// Package lineprotocol reads telemetry from InfluxDB's line protocol (v2), straight from the bytes of a request.
//
//	measurement[,tag=value...] field=value[,field=value...] [timestamp]
//
// A line's tags name its client and device; the tags that are left are the labels. Lines with the same tags become one
// report, in the order in which their tags were first seen, its readings in the order of the lines. A field is a reading: its
// metric is "measurement.field", or just "measurement" for a field called "value".
//
// A backslash takes literally what would end the name it stands in: a comma or a space, and but for the measurement also '=';
// in a field's text, a quote or a backslash. Anywhere else it is a character like others, so `a\\ b` is the name `a\ b`, and a
// text "C:\new" has no line feed. (The published Go client writes a line feed in a text as \n. InfluxDB keeps those two
// characters, and so do we.)
//
// A line that is wrong is refused by its number and the others are read, as InfluxDB does. Nothing is allocated per reading
// in the steady state: texts are views into the body, or into an arena of the Scanner; they live until the next Scan.
package lineprotocol

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

// Options say how to read a body.
type Options struct {
	// ClientTags and DeviceTags are the tags that may name the client and the device; the first that a line has counts.
	ClientTags, DeviceTags []string
	// Client is the client of lines that name none, usually the bucket; empty refuses them.
	Client string
	// Unit is that of the timestamps: time.Nanosecond to time.Hour.
	Unit time.Duration
	// Now is the time of lines without a timestamp.
	Now schemas.Time
	// Limits bound names, texts and times.
	Limits jsonscan.Limits
}

// LineError says why a line was refused.
type LineError struct {
	// Line counts from 1, as editors do.
	Line int
	// Reason says what is wrong.
	Reason string
}

// Error implements error.
func (e LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// maxErrors bounds the errors that are kept; the rest are counted.
const maxErrors = 100

// Scanner reads one body after the other. It belongs to one goroutine.
type Scanner struct {
	// Reports are those of the last Scan. Their memory is used again.
	Reports []schemas.TelemetryReported
	// Errors are the first refused lines of the last Scan, Refused counts all of them.
	Errors  []LineError
	Refused int

	o     Options
	buf   []byte // the rest of the line being read
	arena []byte
	byTag map[string]int // where the report of a tag set is
	last  string         // the tag set of the line before
	at    int            // its report
}

// ParsePrecision reads the precision parameter of a write request: ns, us, ms, s of version 2 and n, u, m, h of version 1.
func ParsePrecision(text string) (time.Duration, bool) {
	switch text {
	case "", "ns", "n":
		return time.Nanosecond, true
	case "us", "u", "µ", "µs":
		return time.Microsecond, true
	case "ms":
		return time.Millisecond, true
	case "s":
		return time.Second, true
	case "m":
		return time.Minute, true
	case "h":
		return time.Hour, true
	}
	return 0, false
}

// Scan reads a body.
func (s *Scanner) Scan(body []byte, o Options) {
	s.o, s.Reports, s.Errors, s.Refused = o, s.Reports[:0], s.Errors[:0], 0
	s.arena, s.last, s.at = s.arena[:0], "", -1
	if s.byTag == nil {
		s.byTag = map[string]int{}
	}
	clear(s.byTag)
	valid := utf8.Valid(body)
	for number := 1; len(body) > 0; number++ {
		line, rest, newlines := cutLine(body)
		body = rest
		s.scanLine(line, number, valid)
		number += newlines
	}
}

// cutLine cuts the first line off. A line feed within quotes does not end it; newlines counts those.
func cutLine(body []byte) (line, rest []byte, newlines int) {
	end := bytes.IndexByte(body, '\n')
	if end < 0 {
		end = len(body)
	}
	if bytes.IndexByte(body[:end], '"') >= 0 {
		end, newlines = lineEnd(body, end)
	}
	line = body[:end]
	rest = body[min(end+1, len(body)):]
	return bytes.TrimSuffix(line, []byte("\r")), rest, newlines
}

// lineEnd finds the line feed that ends a line with quotes in it; feed is the first there is. Only the text of a field holds
// others: it opens with =" behind the line's first space, and a comment has none. A text that never ends makes this line
// wrong, and no other.
func lineEnd(body []byte, feed int) (end, newlines int) {
	at := len(body) - len(bytes.TrimLeft(body, blanks))
	if at < len(body) && body[at] == '#' {
		return feed, 0
	}
	for fields := false; at < len(body) && body[at] != '\n'; at++ {
		switch {
		case escapes(body[at:], inNames):
			at++
		case body[at] == ' ':
			fields = true
		case fields && bytes.HasPrefix(body[at:], []byte(`="`)):
			length := textEnd(body[at+2:])
			if length < 0 {
				return feed, 0
			}
			newlines += bytes.Count(body[at+2:at+2+length], []byte{'\n'})
			at += 2 + length
		}
	}
	return at, newlines
}

func (s *Scanner) scanLine(line []byte, number int, valid bool) {
	line = bytes.TrimLeft(line, blanks)
	if len(line) == 0 || line[0] == '#' {
		return
	}
	reason := "the text is not valid UTF-8"
	if valid || utf8.Valid(line) {
		reason = s.read(line)
	}
	if reason == "" {
		return
	}
	s.Refused++
	if len(s.Errors) < maxErrors {
		s.Errors = append(s.Errors, LineError{Line: number, Reason: reason})
	}
}

// read reads a line. It returns what is wrong with it, and then has added nothing.
func (s *Scanner) read(line []byte) (wrong string) {
	s.buf = line
	measurement := s.token(inMeasurement)
	if measurement == "" {
		return "the measurement is missing"
	}
	tags, ok := s.tagSet()
	if !ok {
		return "want ' ' and a field after the measurement and its tags"
	}
	at := s.at
	if at < 0 || tags != s.last {
		if at, wrong = s.find(tags); wrong != "" {
			return wrong
		}
	}
	report := &s.Reports[at]
	first := len(report.Readings)
	if wrong = s.fields(report, measurement); wrong == "" {
		wrong = s.timestamp(report.Readings[first:])
	}
	if wrong != "" {
		report.Readings = report.Readings[:first]
		return wrong
	}
	if first == 0 {
		report.EventTime = report.Readings[0].Time
	}
	return ""
}

// tagSet returns the raw tags, and moves to the fields.
func (s *Scanner) tagSet() (tags string, ok bool) {
	for i := 0; i < len(s.buf); i++ {
		switch {
		case escapes(s.buf[i:], inNames):
			i++
		case s.buf[i] == ' ':
			tags = view(s.buf[:i])
			s.buf = bytes.TrimLeft(s.buf[i:], " ")
			return tags, len(s.buf) > 0
		}
	}
	return "", false
}

// find returns the report of a tag set, a new one if need be.
func (s *Scanner) find(tags string) (at int, wrong string) {
	at, known := s.byTag[tags]
	if !known {
		at = len(s.Reports)
		s.Reports = slices.Grow(s.Reports, 1)[:at+1]
		if wrong = s.begin(&s.Reports[at], tags); wrong != "" {
			s.Reports = s.Reports[:at]
			return 0, wrong
		}
		s.byTag[tags] = at
	}
	s.last, s.at = tags, at
	return at, ""
}

// begin makes an empty report from tags: ",name=value,name=value".
func (s *Scanner) begin(r *schemas.TelemetryReported, tags string) (wrong string) {
	*r = schemas.TelemetryReported{Labels: r.Labels[:0], Readings: r.Readings[:0], Envelope: schemas.Envelope{ReceivedTime: s.o.Now}}
	rest := s.buf
	defer func() { s.buf = rest }()
	for s.buf = []byte(tags); len(s.buf) > 0; {
		s.buf = s.buf[1:] // the comma
		name := s.token(inNames)
		if name == "" || len(s.buf) == 0 || s.buf[0] != '=' {
			return "want name=value in the tags"
		}
		s.buf = s.buf[1:]
		value := s.token(inNames)
		if value == "" || len(s.buf) > 0 && s.buf[0] != ',' {
			return fmt.Sprintf("tag %q has no value, or one with an unescaped '='", name)
		}
		for _, had := range r.Labels {
			if had.Name == name {
				return fmt.Sprintf("tag %q stands twice", name)
			}
		}
		r.Labels = append(r.Labels, schemas.Label{Name: name, Value: value})
	}
	r.Client, r.Labels = take(r.Labels, s.o.ClientTags)
	if r.Client == "" {
		r.Client = s.o.Client
	}
	r.Device, r.Labels = take(r.Labels, s.o.DeviceTags)
	return s.checkOwner(r)
}

// take removes the first of the named labels that is there and returns its value.
func take(labels []schemas.Label, names []string) (string, []schemas.Label) {
	for _, name := range names {
		for i := range labels {
			if labels[i].Name == name {
				value := labels[i].Value
				return value, append(labels[:i], labels[i+1:]...)
			}
		}
	}
	return "", labels
}

func (s *Scanner) checkOwner(r *schemas.TelemetryReported) (wrong string) {
	limits := &s.o.Limits
	for _, owner := range [...][2]string{{"client", r.Client}, {"device", r.Device}} {
		what, name := owner[0], owner[1]
		switch {
		case name == "":
			return fmt.Sprintf("no tag names the %s: want one of %q", what, s.tagsFor(what))
		case len(name) > limits.Name:
			return fmt.Sprintf("the %s is %d bytes long, %d are allowed", what, len(name), limits.Name)
		case strings.IndexByte(name, '/') >= 0 || jsonscan.HasControl(name):
			return fmt.Sprintf("the %s may hold neither '/' nor control characters", what)
		}
	}
	if len(r.Labels) > limits.Labels {
		return fmt.Sprintf("the line has %d labels, %d are allowed", len(r.Labels), limits.Labels)
	}
	for _, l := range r.Labels {
		if len(l.Name) > limits.Label || len(l.Value) > limits.Label || jsonscan.HasControl(l.Name) || jsonscan.HasControl(l.Value) {
			return fmt.Sprintf("label %q is longer than %d bytes or holds a control character", l.Name, limits.Label)
		}
	}
	return ""
}

func (s *Scanner) tagsFor(what string) []string {
	if what == "client" {
		return s.o.ClientTags
	}
	return s.o.DeviceTags
}
