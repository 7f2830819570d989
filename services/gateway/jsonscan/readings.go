package jsonscan

import (
	"fmt"
	"strconv"

	"github.com/fieldlog/fieldlog/schemas"
)

// readings reads either form: {"metric": value} or [{"metric", "time", "value", "unit"}].
func (s *Scanner) readings(r *schemas.TelemetryReported) bool {
	r.Readings = r.Readings[:0]
	switch s.peek() {
	case '{':
		return s.readingsObject(r)
	case '[':
		return s.readingsArray(r)
	}
	s.refuse("readings", "want an object or an array")
	return s.skip(1)
}

func (s *Scanner) readingsObject(r *schemas.TelemetryReported) bool {
	s.metrics.reset()
	return s.members(func(name string, flags class) bool {
		if !s.metrics.add(name) {
			s.refuse("readings."+name, "the name stands twice in its object")
		}
		if name == "" || len(name) > s.limits.Name || flags != 0 {
			s.checkMetric(name, flags)
		}
		if len(r.Readings) == s.limits.Readings {
			return s.tooMany()
		}
		r.Readings = append(r.Readings, schemas.Reading{Metric: name, Time: untold})
		return s.value(&r.Readings[len(r.Readings)-1].Value, name)
	})
}

func (s *Scanner) checkMetric(name string, flags class) {
	switch {
	case name == "":
		s.refuse("readings", "has a metric without a name")
	case len(name) > s.limits.Name:
		s.refuse("readings", fmt.Sprintf("has a metric of %d bytes, %d are allowed", len(name), s.limits.Name))
	case flags != 0 && HasControl(name):
		s.refuse("readings", "has a metric with a control character in its name")
	}
}

func (s *Scanner) tooMany() bool {
	s.refuse("readings", fmt.Sprintf("holds more than %d readings", s.limits.Readings))
	return s.skip(1)
}

func (s *Scanner) readingsArray(r *schemas.TelemetryReported) bool {
	s.reading = -1
	ok := s.elements(func() bool {
		s.reading++
		if len(r.Readings) == s.limits.Readings {
			return s.tooMany()
		}
		if s.peek() != '{' {
			s.refuse(s.place(""), "a reading is an object")
			return s.skip(1)
		}
		r.Readings = append(r.Readings, schemas.Reading{Time: untold})
		return s.oneReading(&r.Readings[len(r.Readings)-1])
	})
	s.reading = -1
	return ok
}

func (s *Scanner) oneReading(r *schemas.Reading) bool {
	var had field
	first := len(s.unknown)
	ok := s.members(func(name string, _ class) bool {
		f := readingField(name)
		if f == 0 {
			s.Unknown++
			if s.limits.Strict {
				s.refuse(s.place(name), "is unknown")
			}
			return s.once(first, name) && s.skip(2)
		}
		if had&f != 0 {
			s.refuse(s.place(name), "the name stands twice in its object")
		}
		had |= f
		return s.readingMember(r, f, name)
	})
	s.unknown = s.unknown[:first]
	if had&fMetric == 0 {
		s.refuse(s.place("metric"), "is missing")
	}
	if had&fValue == 0 {
		s.refuse(s.place("value"), "is missing")
	}
	return ok
}

func readingField(name string) field {
	switch name {
	case "metric":
		return fMetric
	case "time":
		return fTime
	case "value":
		return fValue
	case "unit":
		return fUnit
	}
	return 0
}

func (s *Scanner) readingMember(r *schemas.Reading, f field, name string) bool {
	switch f {
	case fMetric:
		text, flags, given, ok := s.wantText(name)
		if given {
			s.checkName(name, text, flags)
			r.Metric = text
		}
		return ok
	case fTime:
		return s.time(&r.Time, name)
	case fValue:
		return s.value(&r.Value, name)
	default:
		text, flags, given, ok := s.wantText(name)
		if given {
			s.checkText(name, text, flags, s.limits.Unit)
			r.Unit = text
		}
		return ok
	}
}

// place is the path of a name in the reading that is being read, or of the report itself.
func (s *Scanner) place(name string) string {
	if s.reading < 0 {
		return name
	}
	place := "readings[" + strconv.Itoa(s.reading) + "]"
	if name == "" {
		return place
	}
	return place + "." + name
}

// value reads a reading's value. name is the metric in the object form, "value" in the other.
func (s *Scanner) value(into *schemas.Value, name string) bool {
	switch c := s.peek(); {
	case c == '-' || '0' <= c && c <= '9':
		return s.numberValue(into, name)
	case c == '"':
		text, _, ok := s.text()
		if len(text) > s.limits.Text {
			s.refuse(s.valuePlace(name), fmt.Sprintf("is %d bytes long, %d are allowed", len(text), s.limits.Text))
		}
		*into = schemas.TextValue(text)
		return ok
	case c == 't' || c == 'f':
		*into = schemas.BooleanValue(c == 't')
		return s.literal()
	}
	s.refuse(s.valuePlace(name), "want a number, a boolean or a text")
	return s.skip(1)
}

func (s *Scanner) numberValue(into *schemas.Value, name string) bool {
	n, ok := s.number()
	if !ok {
		return false
	}
	if n.whole {
		v, fits := n.integer()
		if !fits {
			s.refuse(s.valuePlace(name), "the number does not fit in 64 bits; write it with a point to send a double")
		}
		*into = schemas.IntegerValue(v)
		return true
	}
	v, finite := n.double()
	if !finite {
		s.refuse(s.valuePlace(name), "the number does not fit in a double")
	}
	*into = schemas.DoubleValue(v)
	return true
}

func (s *Scanner) valuePlace(name string) string {
	if s.reading < 0 {
		return "readings." + name
	}
	return s.place(name)
}
