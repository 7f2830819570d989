package avro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// ToJSON decodes what s wrote into a JSON object with the schema's field names, in their order. Times are RFC 3339 in UTC,
// bytes are base64, a union's value stands by itself. Integers keep every digit; where a union holds both, doubles have a
// point or an exponent and integers have none. NaN and infinities, which JSON lacks, become texts.
func ToJSON(s *Schema, data []byte) ([]byte, error) {
	w := jsonWriter{src: source{buf: data}, out: make([]byte, 0, 4*len(data)+64)}
	w.value(s.record, 0)
	if w.src.bad || w.src.pos != len(data) {
		return nil, fmt.Errorf("decode %q: %w", s.Name(), ErrCorrupt)
	}
	return w.out, nil
}

// FromJSON encodes a JSON object as s says: the reverse of ToJSON. It is strict: text that is no JSON, names that stand
// twice, invalid UTF-8, unknown fields, missing fields without a default and values that do not fit are a *[Misfit]. Times
// may be RFC 3339 or the number that Avro counts.
func FromJSON(s *Schema, text []byte) ([]byte, error) {
	event, wrong := strictly(text)
	if wrong == nil {
		var data []byte
		if data, wrong = fit(make([]byte, 0, len(text)), s.record, event); wrong == nil {
			return data, nil
		}
	}
	return nil, fmt.Errorf("read JSON of %q: %w", s.Name(), wrong)
}

// strictly reads one JSON value as I-JSON (RFC 7493) wants it.
func strictly(text []byte) (any, *Misfit) {
	strict := jsontext.NewDecoder(bytes.NewReader(text))
	if err := strict.SkipValue(); err != nil {
		return nil, misfit("it is no JSON: %s", reasonOf(err))
	}
	if _, err := strict.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, misfit("text after the value")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, misfit("it is no JSON: %v", err)
	}
	return value, nil
}

func reasonOf(err error) string {
	var syntax *jsontext.SyntacticError
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("%v (at byte %d)", syntax.Err, syntax.ByteOffset)
	case errors.Is(err, io.EOF):
		return "it is empty"
	}
	return err.Error()
}
