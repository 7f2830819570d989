package lineprotocol

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

// What ends a name unless a backslash stands before it, and blanks, which may stand before a line.
const (
	inMeasurement = ", "
	inNames       = ",= "
	blanks        = " \t"
)

// escapes tells whether text begins with a backslash that takes one of stops literally.
func escapes(text []byte, stops string) bool {
	return text[0] == '\\' && len(text) > 1 && strings.IndexByte(stops, text[1]) >= 0
}

// token reads up to an unescaped byte of stops.
func (s *Scanner) token(stops string) string {
	for i, c := range s.buf {
		if c == '\\' {
			return s.unescape(i, stops)
		}
		if strings.IndexByte(stops, c) >= 0 {
			text := view(s.buf[:i])
			s.buf = s.buf[i:]
			return text
		}
	}
	text := view(s.buf)
	s.buf = s.buf[len(s.buf):]
	return text
}

// unescape reads on from the first backslash, into the arena.
func (s *Scanner) unescape(from int, stops string) string {
	begin := len(s.arena)
	s.arena = append(s.arena, s.buf[:from]...)
	i := from
	for ; i < len(s.buf); i++ {
		if escapes(s.buf[i:], stops) {
			i++
		} else if strings.IndexByte(stops, s.buf[i]) >= 0 {
			break
		}
		s.arena = append(s.arena, s.buf[i])
	}
	s.buf = s.buf[i:]
	return view(s.arena[begin:len(s.arena):len(s.arena)])
}

func (s *Scanner) fields(r *schemas.TelemetryReported, measurement string) (wrong string) {
	for {
		field := s.token(inNames)
		if field == "" || len(s.buf) == 0 || s.buf[0] != '=' {
			return "want field=value"
		}
		s.buf = s.buf[1:]
		if len(r.Readings) == s.o.Limits.Readings {
			return fmt.Sprintf("its report has more than %d readings; send fewer lines at once", s.o.Limits.Readings)
		}
		r.Readings = append(r.Readings, schemas.Reading{Metric: s.metric(measurement, field)})
		reading := &r.Readings[len(r.Readings)-1]
		if len(reading.Metric) > s.o.Limits.Name || jsonscan.HasControl(reading.Metric) {
			return fmt.Sprintf("metric %q is longer than %d bytes or holds a control character", reading.Metric, s.o.Limits.Name)
		}
		if reading.Value, wrong = s.value(); wrong != "" {
			return fmt.Sprintf("field %q: %s", field, wrong)
		}
		if len(s.buf) == 0 || s.buf[0] != ',' {
			return ""
		}
		s.buf = s.buf[1:]
	}
}

func (s *Scanner) metric(measurement, field string) string {
	if field == "value" {
		return measurement
	}
	begin := len(s.arena)
	s.arena = append(append(append(s.arena, measurement...), '.'), field...)
	return view(s.arena[begin:len(s.arena):len(s.arena)])
}

// value reads a field's value: 1.5, 1i, 1u, true, "text".
func (s *Scanner) value() (v schemas.Value, wrong string) {
	if len(s.buf) > 0 && s.buf[0] == '"' {
		return s.text()
	}
	end := 0
	for end < len(s.buf) && s.buf[end] != ',' && s.buf[end] != ' ' {
		end++
	}
	word := view(s.buf[:end])
	s.buf = s.buf[end:]
	if word == "" {
		return v, "the value is missing"
	}
	switch word {
	case "t", "T", "true", "True", "TRUE":
		return schemas.BooleanValue(true), ""
	case "f", "F", "false", "False", "FALSE":
		return schemas.BooleanValue(false), ""
	}
	if last := word[len(word)-1]; last == 'i' || last == 'u' {
		n, err := strconv.ParseInt(word[:len(word)-1], 10, 64)
		if err != nil || last == 'u' && n < 0 || word[0] == '+' {
			return v, "want a whole number that fits in 64 bits before '" + word[len(word)-1:] + "'"
		}
		return schemas.IntegerValue(n), ""
	}
	return parseFloat(word)
}

// parseFloat reads a double, and refuses what strconv takes besides: Go's own ways to write a number (0x1p4, -0X1P4, 1_000),
// inf and nan.
func parseFloat(word string) (v schemas.Value, wrong string) {
	if strings.IndexByte(word, '_') >= 0 || strings.IndexByte(word, 'x') >= 0 || strings.IndexByte(word, 'X') >= 0 {
		return v, "want a number, a boolean or a text in quotes"
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return v, "want a number that fits in a double, a boolean or a text in quotes"
	}
	return schemas.DoubleValue(f), ""
}

// text reads a text in quotes.
func (s *Scanner) text() (v schemas.Value, wrong string) {
	length := textEnd(s.buf[1:])
	if length < 0 {
		return v, "the quotes do not end"
	}
	text := s.unquote(s.buf[1 : 1+length])
	if s.buf = s.buf[length+2:]; len(s.buf) > 0 && s.buf[0] != ',' && s.buf[0] != ' ' {
		return v, "text after the quotes"
	}
	if len(text) > s.o.Limits.Text {
		return v, fmt.Sprintf("the text is %d bytes long, %d are allowed", len(text), s.o.Limits.Text)
	}
	return schemas.TextValue(text), ""
}

// inText is what a backslash takes literally in a text.
const inText = `"\`

// textEnd returns how many bytes stand before the quote that ends a text, or -1.
func textEnd(text []byte) int {
	for i := 0; i < len(text); i++ {
		switch {
		case escapes(text[i:], inText):
			i++
		case text[i] == '"':
			return i
		}
	}
	return -1
}

// unquote takes the backslashes out of a text that have done their work, into the arena if there are any.
func (s *Scanner) unquote(text []byte) string {
	if bytes.IndexByte(text, '\\') < 0 {
		return view(text)
	}
	begin := len(s.arena)
	for i := 0; i < len(text); i++ {
		if escapes(text[i:], inText) {
			i++
		}
		s.arena = append(s.arena, text[i])
	}
	return view(s.arena[begin:len(s.arena):len(s.arena)])
}

// timestamp reads what is left of the line and gives its time to the line's readings.
func (s *Scanner) timestamp(readings []schemas.Reading) (wrong string) {
	at := s.o.Now
	if text := view(bytes.Trim(s.buf, blanks)); text != "" {
		if s.buf[0] != ' ' {
			return "want ' ' before the timestamp"
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || text[0] == '+' {
			return fmt.Sprintf("%q is no timestamp", text)
		}
		var fits bool
		if at, fits = s.instant(n); !fits {
			return fmt.Sprintf("the timestamp %d is too far away for precision %s", n, s.o.Unit)
		}
	}
	switch {
	case at < s.o.Limits.Oldest:
		return "the time is too long ago: earliest is " + s.o.Limits.Oldest.Time().Format(time.RFC3339)
	case at > s.o.Limits.Newest:
		return "the time lies in the future: latest is " + s.o.Limits.Newest.Time().Format(time.RFC3339)
	}
	for i := range readings {
		readings[i].Time = at
	}
	return ""
}

// instant turns a count of units into microseconds.
func (s *Scanner) instant(n int64) (schemas.Time, bool) {
	if s.o.Unit < time.Microsecond {
		return schemas.TimeOf(time.Unix(0, n)), true // down, also before 1970
	}
	factor := int64(s.o.Unit / time.Microsecond)
	if n > math.MaxInt64/factor || n < -math.MaxInt64/factor {
		return 0, false
	}
	return schemas.Time(n * factor), true
}

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
