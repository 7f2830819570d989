package jsonscan

import (
	"bytes"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/fieldlog/fieldlog/schemas"
)

// referenceDocument reads a document: reports one after the other, or an array of them. A report that is refused is nil. broken
// says that the document is no JSON, or empty.
func referenceDocument(data []byte, limits Limits, now schemas.Time) (reports []*schemas.TelemetryReported, broken bool) {
	d := jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true)) // they concern one report
	array := d.PeekKind() == '['
	if array {
		if _, err := d.ReadToken(); err != nil {
			return nil, true
		}
	}
	for !array || d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if errors.Is(err, io.EOF) && !array && len(reports) > 0 {
			return reports, false
		}
		if err != nil || value.Kind() == '0' && bytes.ContainsAny(data[d.InputOffset():min(d.InputOffset()+1, int64(len(data)))], "0123456789") {
			return nil, true // 00 is no number, and not two either
		}
		reports = append(reports, reference(value, limits, now))
	}
	_, end := d.ReadToken()
	_, after := d.ReadToken()
	return reports, len(reports) == 0 || end != nil || !errors.Is(after, io.EOF)
}

// referenceLines reads a report from each line that is not blank. broken says that there is none.
func referenceLines(data []byte, limits Limits, now schemas.Time) (reports []*schemas.TelemetryReported, broken bool) {
	for line := range bytes.Lines(data) {
		if len(bytes.Trim(line, " \t\r\n")) > 0 {
			reports = append(reports, reference(line, limits, now))
		}
	}
	return reports, len(reports) == 0
}

// reference reads one report the slow way, with a published tokenizer. It returns nil where the scanner must refuse.
func reference(data []byte, limits Limits, now schemas.Time) *schemas.TelemetryReported {
	value := jsontext.Value(data)
	if !value.IsValid() { // syntax, duplicate names and UTF-8, at every depth
		return nil
	}
	d := jsontext.NewDecoder(strings.NewReader(string(data)))
	report := &refReport{limits: limits, now: now}
	if err := report.read(d); err != nil {
		return nil
	}
	return report.done()
}

var errRefused = errors.New("refused")

type refReport struct {
	limits Limits
	now    schemas.Time
	event  schemas.TelemetryReported
	time   *schemas.Time
	times  []*schemas.Time
	had    map[string]bool
}

func (r *refReport) read(d *jsontext.Decoder) error {
	r.had = map[string]bool{}
	return refMembers(d, func(name string) error {
		r.had[name] = true
		e := &r.event
		switch name {
		case "client", "device":
			text, err := refText(d, 1, r.limits.Name, true)
			if strings.Contains(text, "/") {
				return errRefused
			}
			if name == "client" {
				e.Client = text
			} else {
				e.Device = text
			}
			return err
		case "time":
			t, err := r.readTime(d)
			r.time = &t
			return err
		case "readings":
			if d.PeekKind() == '[' {
				return r.array(d)
			}
			return refMembers(d, func(name string) error {
				v, err := r.value(d)
				return r.add(name, v, "", nil, err)
			})
		case "labels":
			return refMembers(d, func(name string) error {
				if name == "" || len(name) > r.limits.Label || refControl(name) || len(e.Labels) == r.limits.Labels {
					return errRefused
				}
				text, err := refText(d, 0, r.limits.Label, true)
				e.Labels = append(e.Labels, schemas.Label{Name: name, Value: text})
				return err
			})
		case "attempt":
			tok, err := d.ReadToken()
			if err != nil || tok.Kind() != '0' {
				return errRefused
			}
			n, err := strconv.ParseInt(tok.String(), 10, 32)
			if err != nil || n < 0 {
				return errRefused
			}
			e.Attempt = int32(n)
			return nil
		}
		words := map[string]*string{"event_id": &e.EventID, "trace_id": &e.TraceID, "event_type": &e.EventType, "origin": &e.Origin, "host": &e.Host, "publisher": &e.Publisher}
		if into := words[name]; into != nil {
			text, err := refText(d, 0, r.limits.Word, true)
			*into = text
			return err
		}
		return r.unknown(d)
	})
}

func (r *refReport) unknown(d *jsontext.Decoder) error {
	if r.limits.Strict {
		return errRefused
	}
	return d.SkipValue()
}

func (r *refReport) add(metric string, v schemas.Value, unit string, t *schemas.Time, err error) error {
	if err != nil || metric == "" || len(metric) > r.limits.Name || refControl(metric) || len(r.event.Readings) == r.limits.Readings {
		return errRefused
	}
	r.event.Readings = append(r.event.Readings, schemas.Reading{Metric: metric, Value: v, Unit: unit})
	r.times = append(r.times, t)
	return nil
}

func (r *refReport) array(d *jsontext.Decoder) error {
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		var metric, unit string
		var v schemas.Value
		var at *schemas.Time
		had := map[string]bool{}
		err := refMembers(d, func(name string) (err error) {
			had[name] = true
			switch name {
			case "metric":
				metric, err = refText(d, 1, r.limits.Name, true)
			case "unit":
				unit, err = refText(d, 0, r.limits.Unit, true)
			case "value":
				v, err = r.value(d)
			case "time":
				var t schemas.Time
				t, err = r.readTime(d)
				at = &t
			default:
				err = r.unknown(d)
			}
			return err
		})
		if err != nil || !had["metric"] || !had["value"] {
			return errRefused
		}
		if err := r.add(metric, v, unit, at, nil); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func (r *refReport) value(d *jsontext.Decoder) (schemas.Value, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return schemas.Value{}, err
	}
	switch tok.Kind() {
	case 't', 'f':
		return schemas.BooleanValue(tok.Bool()), nil
	case '"':
		if len(tok.String()) > r.limits.Text {
			return schemas.Value{}, errRefused
		}
		return schemas.TextValue(tok.String()), nil
	case '0':
		if !strings.ContainsAny(tok.String(), ".eE") {
			n, err := strconv.ParseInt(tok.String(), 10, 64)
			return schemas.IntegerValue(n), err
		}
		f, err := strconv.ParseFloat(tok.String(), 64)
		return schemas.DoubleValue(f), err
	}
	return schemas.Value{}, errRefused
}

func (r *refReport) readTime(d *jsontext.Decoder) (schemas.Time, error) {
	tok, err := d.ReadToken()
	if err != nil {
		return 0, err
	}
	var t schemas.Time
	switch text := tok.String(); tok.Kind() {
	case '"':
		parsed, err := strictTime(text)
		if err != nil {
			return 0, errRefused
		}
		t = schemas.Time(parsed.UnixMicro())
	case '0':
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			if n <= -math.MaxInt64/1000 || n >= math.MaxInt64/1000 {
				return 0, errRefused
			}
			t = schemas.Time(n * 1000)
		} else if f, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(f) <= math.MaxInt64/2000 {
			t = schemas.Time(math.Round(f * 1000))
		} else {
			return 0, errRefused
		}
	default:
		return 0, errRefused
	}
	if t < r.limits.Oldest || t > r.limits.Newest {
		return 0, errRefused
	}
	return t, nil
}

// rfc3339 is the form of RFC 3339, section 5.6, which package time does not insist on.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

func strictTime(text string) (time.Time, error) {
	if !rfc3339.MatchString(text) || strings.HasPrefix(text, "0000") {
		return time.Time{}, errRefused
	}
	return time.Parse(time.RFC3339Nano, text)
}

func (r *refReport) done() *schemas.TelemetryReported {
	e := &r.event
	if !r.had["client"] || !r.had["device"] || len(e.Readings) == 0 {
		return nil
	}
	e.EventTime, e.ReceivedTime = r.now, r.now
	if r.time != nil {
		e.EventTime = *r.time
	}
	for i, t := range r.times {
		e.Readings[i].Time = e.EventTime
		if t != nil {
			e.Readings[i].Time = *t
		}
	}
	return e
}

func refMembers(d *jsontext.Decoder, member func(name string) error) error {
	tok, err := d.ReadToken()
	if err != nil || tok.Kind() != '{' {
		return errRefused
	}
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	_, err = d.ReadToken()
	return err
}

func refText(d *jsontext.Decoder, shortest, longest int, plain bool) (string, error) {
	tok, err := d.ReadToken()
	if errors.Is(err, io.EOF) || err != nil || tok.Kind() != '"' {
		return "", errRefused
	}
	text := tok.String()
	if len(text) < shortest || len(text) > longest || plain && refControl(text) {
		return "", errRefused
	}
	return text, nil
}

func refControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }
