package avro

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"time"

	hamba "github.com/hamba/avro/v2"
)

// ToJSON decodes what s wrote into a JSON object with the schema's field names. Times are RFC 3339 in UTC, bytes are
// base64, a union's value stands by itself, integers keep every digit. NaN and infinities, which JSON lacks, become texts.
func ToJSON(s *Schema, data []byte) ([]byte, error) {
	var event map[string]any
	if err := hamba.Unmarshal(s.record, data, &event); err != nil {
		return nil, fmt.Errorf("decode %q: %w", s.Name(), err)
	}
	text, err := json.Marshal(plain(event))
	if err != nil {
		return nil, fmt.Errorf("write %q as JSON: %w", s.Name(), err)
	}
	return text, nil
}

// plain replaces what JSON has no form for.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = plain(v[k])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	}
	return v
}

// FromJSON encodes a JSON object as s says: the reverse of ToJSON. Unknown fields, missing fields without a default and
// values that do not fit are errors that name the field. Times may be RFC 3339 or microseconds.
func FromJSON(s *Schema, text []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var event any
	if err := decoder.Decode(&event); err != nil {
		return nil, fmt.Errorf("read JSON of %q: %w", s.Name(), err)
	}
	if decoder.More() {
		return nil, fmt.Errorf("read JSON of %q: more than one object", s.Name())
	}
	typed, err := typed(s.record, event)
	if err != nil {
		return nil, fmt.Errorf("read JSON of %q: %w", s.Name(), err)
	}
	data, err := hamba.Marshal(s.record, typed)
	if err != nil {
		return nil, fmt.Errorf("encode %q: %w", s.Name(), err)
	}
	return data, nil
}
