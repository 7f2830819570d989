package cloudevents

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Structured reads one event from JSON.
func Structured(text []byte, limits Limits) (Event, *Refusal) {
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if d.PeekKind() != '{' {
		if err := d.SkipValue(); err != nil {
			return Event{}, broken(err)
		}
		return Event{}, refuse("", "an event is an object")
	}
	m := members{d: d, text: text, attributes: attributes{limits: limits}}
	if wrong := m.read(); wrong != nil {
		return Event{}, wrong
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return Event{}, &Refusal{Reason: "text after the event", Broken: true}
	}
	return m.event, m.finish()
}

// members reads the members of an event's object.
type members struct {
	attributes
	d    *jsontext.Decoder
	text []byte
	told bool // data was there
}

// read returns a refusal where the text is broken; what is wrong otherwise is kept, so that a broken end is found.
func (m *members) read() *Refusal {
	if _, err := m.d.ReadToken(); err != nil {
		return broken(err)
	}
	for m.d.PeekKind() != '}' {
		token, err := m.d.ReadToken()
		if err != nil {
			return broken(err)
		}
		name := token.String()
		value, err := m.d.ReadValue()
		if err != nil {
			return broken(err)
		}
		m.member(name, value)
	}
	if _, err := m.d.ReadToken(); err != nil {
		return broken(err)
	}
	return nil
}

func (m *members) member(name string, value jsontext.Value) {
	switch name {
	case "data", "data_base64":
		if m.told {
			m.blame(refuse(name, "data and data_base64 exclude each other"))
			return
		}
		end := int(m.d.InputOffset())
		m.told, m.event.Data = true, m.text[end-len(value):end]
		if name == "data_base64" {
			m.base64(value)
		}
		return
	}
	if value.Kind() == 'n' {
		return // null is as if it were not there
	}
	text, wrong := attributeText(name, value)
	if wrong != nil {
		m.blame(wrong)
		return
	}
	m.set(name, text)
}

func (m *members) blame(wrong *Refusal) {
	if m.wrong == nil {
		m.wrong = wrong
	}
}

// base64 unpacks data that came in base64; it must be JSON too.
func (m *members) base64(value jsontext.Value) {
	text, err := jsontext.AppendUnquote(nil, value)
	if err == nil {
		text, err = base64.StdEncoding.AppendDecode(nil, text)
	}
	if err != nil || value.Kind() != '"' {
		m.blame(refuse("data_base64", "is no text in base64"))
		return
	}
	m.event.Data = text
}

// attributeText turns an attribute's JSON into the text that CloudEvents gives each of its types.
func attributeText(name string, value jsontext.Value) (string, *Refusal) {
	core := name == "specversion" || name == "id" || name == "source" || name == "type" || name == "datacontenttype" ||
		name == "dataschema" || name == "subject" || name == "time"
	switch kind := value.Kind(); {
	case kind == '"':
		text, err := jsontext.AppendUnquote(nil, value)
		if err != nil {
			return "", refuse(clip(name), "is no text: %v", err)
		}
		return string(text), nil
	case core:
		return "", refuse(name, "want a text")
	case kind == 't' || kind == 'f':
		return string(value), nil
	case kind == '0':
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err != nil || n < math.MinInt32 || n > math.MaxInt32 {
			return "", refuse(clip(name), "want a whole number of 32 bits")
		}
		return strconv.FormatInt(n, 10), nil
	}
	return "", refuse(clip(name), "an attribute is a text, a boolean or a whole number")
}

// Batch yields the text of each event of a JSON array, in order. A broken array ends with an error.
func Batch(body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		d := jsontext.NewDecoder(bytes.NewReader(body))
		switch begin, err := d.ReadToken(); {
		case err != nil:
			yield(nil, broken(err))
			return
		case begin.Kind() != '[':
			yield(nil, errors.New("a batch is an array"))
			return
		}
		for d.PeekKind() != ']' {
			value, err := d.ReadValue()
			if err != nil {
				yield(nil, broken(err))
				return
			}
			end := int(d.InputOffset())
			if !yield(body[end-len(value):end], nil) {
				return
			}
		}
		if _, err := d.ReadToken(); err != nil {
			yield(nil, broken(err))
			return
		}
		if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
			yield(nil, errors.New("text after the array"))
		}
	}
}

// Lines yields each line that is not blank.
func Lines(body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for line := range bytes.Lines(body) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(line, nil) {
				return
			}
		}
	}
}

func broken(err error) *Refusal {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		return &Refusal{Reason: fmt.Sprintf("it is no JSON: %v (at byte %d)", syntax.Err, syntax.ByteOffset), Broken: true}
	case errors.Is(err, io.EOF):
		return &Refusal{Reason: "it is empty", Broken: true}
	}
	return &Refusal{Reason: "it is no JSON: " + err.Error(), Broken: true}
}
