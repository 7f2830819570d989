// Package jsonscan reads telemetry reports from JSON, straight from the bytes of a request into a reused
// schemas.TelemetryReported.
//
// It is as strict as RFC 8259 and I-JSON (RFC 7493) allow to be: duplicate names, invalid UTF-8, lone surrogates and numbers
// that do not fit are refused, at every depth. What is wrong with one report (a missing field, a wrong type, a
// bad name or time) refuses that report and no other; where the document itself is broken, nothing after the break is
// trusted.
//
// Nothing is allocated per reading in the steady state: strings are views into the body, or into an arena of the Scanner
// when they had to be unescaped. Both live until the next Start.
package jsonscan

import (
	"bytes"
	"fmt"

	"github.com/fieldlog/fieldlog/schemas"
)

// Limits bound what a report may hold. All sizes are in bytes of UTF-8.
type Limits struct {
	// Name bounds client, device and metric; Unit a unit; Text a text value.
	Name, Unit, Text int
	// Labels bounds the number of labels; Label the name and the value of each.
	Labels, Label int
	// Readings bounds the readings of a report.
	Readings int
	// Word bounds event_id, event_type, trace_id, origin, host and publisher.
	Word int
	// Oldest and Newest bound every time.
	Oldest, Newest schemas.Time
	// Strict refuses unknown fields, which are otherwise skipped and counted.
	Strict bool
}

// Shape says how reports stand in a body.
type Shape uint8

const (
	// Document is one report, an array of reports, or reports one after the other; a break in it is a break of the whole.
	Document Shape = iota
	// Lines is one report a line (NDJSON); a break in a line concerns that line.
	Lines
)

// Refusal says why a report, or the whole document, is refused.
type Refusal struct {
	// Field is the path of what is wrong: "readings[3].value"; empty where no field is to blame.
	Field string
	// Reason says what is wrong with it.
	Reason string
	// Offset is where in the body, in bytes.
	Offset int
	// Broken says that the document itself is broken there: nothing after it can be read.
	Broken bool
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return fmt.Sprintf("%s (at byte %d)", r.Reason, r.Offset)
	}
	return fmt.Sprintf("%s: %s (at byte %d)", r.Field, r.Reason, r.Offset)
}

// Scanner reads the reports of one body after the other. It belongs to one goroutine.
type Scanner struct {
	// Unknown counts the unknown fields skipped since Start.
	Unknown int

	limits Limits
	now    schemas.Time
	body   []byte
	buf    []byte // what is being read: the body, or one line of it
	base   int    // where buf begins in body
	pos    int    // in buf
	next   int    // where the next line begins in body
	shape  Shape
	state  state
	count  int

	arena   []byte
	metrics set      // names of the metrics, or labels, of the object being read
	unknown []string // names of the unknown fields of the objects being read
	reading int      // number of the reading being read, -1 outside readings
	refusal *Refusal // the first thing wrong with the report being read
}

type state uint8

const (
	atStart state = iota
	inArray
	inSequence
	atEnd
)

// Start begins a body. now is the time of reports that tell none.
func (s *Scanner) Start(body []byte, shape Shape, limits Limits, now schemas.Time) {
	s.body, s.shape, s.limits, s.now = body, shape, limits, now
	s.buf, s.base, s.pos, s.next, s.state, s.count, s.Unknown = body, 0, 0, 0, atStart, 0, 0
	s.arena = s.arena[:0]
}

// Next reads the next report. more is false at the end of the body. A refusal concerns this report alone, unless it is
// Broken; the reports after it can be read on. report's memory is used again.
func (s *Scanner) Next(report *schemas.TelemetryReported) (more bool, refusal *Refusal) {
	if s.shape == Lines {
		return s.nextLine(report)
	}
	if more, refusal = s.advance(); !more || refusal != nil {
		return more, refusal
	}
	s.count++
	if !s.report(report) {
		return true, s.broken()
	}
	return true, s.refusal
}

// advance moves to the next report of a document.
func (s *Scanner) advance() (more bool, refusal *Refusal) {
	s.refusal = nil
	s.space()
	switch s.state {
	case atStart:
		if s.pos == len(s.buf) {
			s.stop("the body is empty")
			return true, s.broken()
		}
		s.state = inSequence
		if s.buf[s.pos] == '[' {
			s.pos++
			s.state = inArray
			if s.space(); s.peek() == ']' {
				s.stop("the array is empty")
				return true, s.broken()
			}
		}
		return true, nil
	case inSequence:
		return s.pos < len(s.buf), nil
	case inArray:
		return s.nextElement()
	default:
		return false, nil
	}
}

func (s *Scanner) nextElement() (more bool, refusal *Refusal) {
	switch s.peek() {
	case ',':
		s.pos++
		s.space()
		return true, nil
	case ']':
		s.pos++
		s.state = atEnd
		if s.space(); s.pos < len(s.buf) {
			s.stop("text after the array")
			return true, s.broken()
		}
		return false, nil
	}
	s.stop("want ',' or ']' after an element of the array")
	return true, s.broken()
}

// broken ends the document with what stop noted.
func (s *Scanner) broken() *Refusal {
	s.state = atEnd
	s.refusal.Broken = s.shape == Document
	return s.refusal
}

// nextLine reads the next line that is not blank.
func (s *Scanner) nextLine(report *schemas.TelemetryReported) (more bool, refusal *Refusal) {
	for s.next < len(s.body) {
		s.base, s.pos, s.refusal = s.next, 0, nil
		s.buf = s.body[s.next:]
		if end := bytes.IndexByte(s.buf, '\n'); end >= 0 {
			s.buf = s.buf[:end]
		}
		s.next += len(s.buf) + 1
		if s.space(); s.pos == len(s.buf) {
			continue
		}
		s.count++
		if !s.report(report) {
			return true, s.broken()
		}
		if s.space(); s.pos < len(s.buf) {
			s.stop("text after the report")
			return true, s.broken()
		}
		return true, s.refusal
	}
	if s.count == 0 {
		s.stop("the body is empty")
		s.count++
		return true, s.refusal
	}
	return false, nil
}
