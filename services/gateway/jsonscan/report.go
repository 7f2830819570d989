package jsonscan

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/fieldlog/fieldlog/schemas"
)

// untold marks a time that was not given.
const untold = schemas.Time(math.MinInt64)

// field is one of the names that an object may have, as a bit.
type field uint16

const (
	fClient field = 1 << iota
	fDevice
	fTime
	fReadings
	fEventID
	fLabels
	fTraceID
	fEventType
	fAttempt
	fOrigin
	fHost
	fPublisher
	fMetric
	fValue
	fUnit
)

func reportField(name string) field {
	switch name {
	case "client":
		return fClient
	case "device":
		return fDevice
	case "time":
		return fTime
	case "readings":
		return fReadings
	case "event_id":
		return fEventID
	case "labels":
		return fLabels
	case "trace_id":
		return fTraceID
	case "event_type":
		return fEventType
	case "attempt":
		return fAttempt
	case "origin":
		return fOrigin
	case "host":
		return fHost
	case "publisher":
		return fPublisher
	}
	return 0
}

// refuse notes what is wrong with the report, if nothing was wrong before.
func (s *Scanner) refuse(field, reason string) {
	if s.refusal == nil {
		s.refusal = &Refusal{Field: strings.Clone(field), Reason: reason, Offset: s.base + s.pos}
	}
}

// report reads one report. It returns false where the document is broken; whether the report is refused is in s.refusal.
func (s *Scanner) report(r *schemas.TelemetryReported) bool {
	s.refusal, s.reading, s.unknown = nil, -1, s.unknown[:0]
	r.Envelope = schemas.Envelope{EventTime: untold, ReceivedTime: s.now}
	r.Client, r.Device, r.Labels, r.Readings = "", "", r.Labels[:0], r.Readings[:0]
	if s.peek() != '{' {
		s.refuse("", "a report is an object")
		return s.skip(0)
	}
	var had field
	ok := s.members(func(name string, _ class) bool {
		f := reportField(name)
		if f == 0 {
			return s.skipUnknown(name)
		}
		if had&f != 0 {
			s.refuse(name, "the name stands twice in its object")
		}
		had |= f
		return s.reportMember(r, f, name)
	})
	if ok {
		s.complete(r, had)
	}
	return ok
}

func (s *Scanner) reportMember(r *schemas.TelemetryReported, f field, name string) bool {
	switch f {
	case fClient:
		return s.owner(&r.Client, name)
	case fDevice:
		return s.owner(&r.Device, name)
	case fTime:
		return s.time(&r.EventTime, name)
	case fReadings:
		return s.readings(r)
	case fEventID:
		return s.word(&r.EventID, name)
	case fLabels:
		return s.labels(r)
	case fTraceID:
		return s.word(&r.TraceID, name)
	case fEventType:
		return s.word(&r.EventType, name)
	case fAttempt:
		return s.attempt(&r.Attempt)
	case fOrigin:
		return s.word(&r.Origin, name)
	case fHost:
		return s.word(&r.Host, name)
	default:
		return s.word(&r.Publisher, name)
	}
}

// complete fills in what was not told and refuses what must be told.
func (s *Scanner) complete(r *schemas.TelemetryReported, had field) {
	switch {
	case had&fClient == 0:
		s.refuse("client", "is missing")
	case had&fDevice == 0:
		s.refuse("device", "is missing")
	case had&fReadings == 0:
		s.refuse("readings", "is missing")
	case len(r.Readings) == 0:
		s.refuse("readings", "holds no reading")
	}
	if r.EventTime == untold {
		r.EventTime = s.now
	}
	for i := range r.Readings {
		if r.Readings[i].Time == untold {
			r.Readings[i].Time = r.EventTime
		}
	}
}

func (s *Scanner) skipUnknown(name string) bool {
	s.Unknown++
	if s.limits.Strict {
		s.refuse(name, "is unknown")
	}
	return s.once(0, name) && s.skip(1)
}

// wantText reads a text. Everything else is refused and skipped.
func (s *Scanner) wantText(name string) (text string, flags class, given, ok bool) {
	if s.peek() != '"' {
		s.refuse(s.place(name), "want a text")
		return "", 0, false, s.skip(1)
	}
	text, flags, ok = s.text()
	return text, flags, ok, ok
}

// owner reads the name of a client or a device.
func (s *Scanner) owner(into *string, name string) bool {
	text, flags, given, ok := s.wantText(name)
	if given {
		if s.checkName(name, text, flags); flags&odd != 0 && strings.IndexByte(text, '/') >= 0 {
			s.refuse(name, "may not hold '/'")
		}
		*into = text
	}
	return ok
}

// word reads one of the envelope's texts, which may be empty.
func (s *Scanner) word(into *string, name string) bool {
	text, flags, given, ok := s.wantText(name)
	if given {
		s.checkText(name, text, flags, s.limits.Word)
		*into = text
	}
	return ok
}

// checkName refuses names that are empty, too long or hold control characters.
func (s *Scanner) checkName(name, text string, flags class) {
	if text == "" {
		s.refuse(s.place(name), "is empty")
	}
	s.checkText(name, text, flags, s.limits.Name)
}

func (s *Scanner) checkText(name, text string, flags class, limit int) {
	if len(text) > limit {
		s.refuse(s.place(name), fmt.Sprintf("is %d bytes long, %d are allowed", len(text), limit))
	}
	if flags != 0 && HasControl(text) {
		s.refuse(s.place(name), "holds a control character")
	}
}

// HasControl finds the control characters of Unicode: U+0000 to U+001F and U+007F to U+009F.
func HasControl(text string) bool {
	for i := 0; i < len(text); {
		c := text[i]
		if c < 0x20 || c == 0x7f {
			return true
		}
		if c < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(text[i:])
		if r >= 0x80 && r < 0xa0 {
			return true
		}
		i += n
	}
	return false
}

// attempt reads a count of 0 or more.
func (s *Scanner) attempt(into *int32) bool {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		s.refuse("attempt", "want a whole number")
		return s.skip(1)
	}
	n, ok := s.number()
	if !ok {
		return false
	}
	v, fits := n.integer()
	if !fits || v < 0 || v > math.MaxInt32 {
		s.refuse("attempt", "want a whole number from 0 to 2147483647")
		return true
	}
	*into = int32(v)
	return true
}

func (s *Scanner) labels(r *schemas.TelemetryReported) bool {
	if s.peek() != '{' {
		s.refuse("labels", "want an object of texts")
		return s.skip(1)
	}
	s.metrics.reset()
	return s.members(func(name string, flags class) bool {
		if name == "" || len(name) > s.limits.Label || flags != 0 && HasControl(name) {
			s.refuse("labels", "has a name that is empty, too long or holds a control character")
		}
		if len(r.Labels) == s.limits.Labels {
			s.refuse("labels", fmt.Sprintf("holds more than %d labels", s.limits.Labels))
			return s.skip(1)
		}
		if !s.metrics.add(name) {
			s.refuse("labels."+name, "the name stands twice in its object")
		}
		if s.peek() != '"' {
			s.refuse("labels."+name, "want a text")
			return s.skip(1)
		}
		value, flags, ok := s.text()
		if len(value) > s.limits.Label || flags != 0 && HasControl(value) {
			s.refuse("labels."+name, fmt.Sprintf("holds a control character or is longer than %d bytes", s.limits.Label))
		}
		r.Labels = append(r.Labels, schemas.Label{Name: name, Value: value})
		return ok
	})
}
