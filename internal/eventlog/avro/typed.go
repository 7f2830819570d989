package avro

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	hamba "github.com/hamba/avro/v2"
)

// typed turns a JSON value into the Go value that the general encoder takes for a schema.
func typed(s hamba.Schema, v any) (any, error) {
	switch s := s.(type) {
	case *hamba.RecordSchema:
		return typedRecord(s, v)
	case *hamba.ArraySchema:
		return typedArray(s, v)
	case *hamba.MapSchema:
		return typedMap(s, v)
	case *hamba.UnionSchema:
		return typedUnion(s, v)
	case *hamba.RefSchema:
		return typed(s.Schema(), v)
	}
	return typedScalar(s, v)
}

func typedRecord(s *hamba.RecordSchema, v any) (any, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s wants an object, got %s", s.Name(), name(v))
	}
	record := make(map[string]any, len(object))
	for _, f := range s.Fields() {
		value, given := object[f.Name()]
		if !given {
			if !f.HasDefault() {
				return nil, fmt.Errorf("field %q is missing", f.Name())
			}
			continue
		}
		t, err := typed(f.Type(), value)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Name(), err)
		}
		record[f.Name()] = t
		delete(object, f.Name())
	}
	for unknown := range object {
		if _, known := record[unknown]; !known {
			return nil, fmt.Errorf("field %q is unknown", unknown)
		}
	}
	return record, nil
}

func typedArray(s *hamba.ArraySchema, v any) (any, error) {
	items, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("want an array, got %s", name(v))
	}
	for i := range items {
		t, err := typed(s.Items(), items[i])
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", i, err)
		}
		items[i] = t
	}
	return items, nil
}

func typedMap(s *hamba.MapSchema, v any) (any, error) {
	entries, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("want an object, got %s", name(v))
	}
	for k := range entries {
		t, err := typed(s.Values(), entries[k])
		if err != nil {
			return nil, fmt.Errorf("%q: %w", k, err)
		}
		entries[k] = t
	}
	return entries, nil
}

// typedUnion takes the first branch that the value fits; a number without fraction or exponent prefers an integer branch.
func typedUnion(s *hamba.UnionSchema, v any) (any, error) {
	branches := s.Types()
	if n, isNumber := v.(json.Number); isNumber && !strings.ContainsAny(n.String(), ".eE") {
		for _, b := range branches {
			if t, err := typed(b, v); err == nil && (b.Type() == hamba.Long || b.Type() == hamba.Int) {
				return map[string]any{string(b.Type()): t}, nil
			}
		}
	}
	for _, b := range branches {
		if t, err := typed(b, v); err == nil {
			if b.Type() == hamba.Null {
				return nil, nil
			}
			return map[string]any{string(b.Type()): t}, nil
		}
	}
	return nil, fmt.Errorf("%s fits no branch of %s", name(v), s)
}

func typedScalar(s hamba.Schema, v any) (any, error) {
	switch v := v.(type) {
	case nil:
		if s.Type() == hamba.Null {
			return nil, nil
		}
	case bool:
		if s.Type() == hamba.Boolean {
			return v, nil
		}
	case string:
		return typedText(s, v)
	case json.Number:
		return typedNumber(s, v)
	}
	return nil, fmt.Errorf("want %s, got %s", s.Type(), name(v))
}

func typedText(s hamba.Schema, v string) (any, error) {
	switch s.Type() {
	case hamba.String:
		return v, nil
	case hamba.Bytes:
		return base64.StdEncoding.DecodeString(v)
	case hamba.Long:
		if logical(s) == hamba.TimestampMicros {
			return time.Parse(time.RFC3339Nano, v)
		}
	}
	return nil, fmt.Errorf("want %s, got a text", s.Type())
}

func typedNumber(s hamba.Schema, v json.Number) (any, error) {
	switch s.Type() {
	case hamba.Double:
		return v.Float64()
	case hamba.Int:
		n, err := strconv.ParseInt(v.String(), 10, 32)
		return int(n), err
	case hamba.Long:
		n, err := v.Int64()
		if err == nil && logical(s) == hamba.TimestampMicros {
			return time.UnixMicro(n).UTC(), nil
		}
		return n, err
	}
	return nil, fmt.Errorf("want %s, got a number", s.Type())
}

func logical(s hamba.Schema) hamba.LogicalType {
	if p, ok := s.(*hamba.PrimitiveSchema); ok && p.Logical() != nil {
		return p.Logical().Type()
	}
	return ""
}

func name(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a text"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	}
	return "an object"
}
