package avro

import (
	"maps"
	"reflect"
	"slices"

	hamba "github.com/hamba/avro/v2"
)

// appendDefault appends a field's default in the form the library keeps it: checked against the schema, and complete.
func appendDefault(dst []byte, s hamba.Schema, v any) []byte {
	switch s := s.(type) {
	case *hamba.RefSchema:
		return appendDefault(dst, s.Schema(), v)
	case *hamba.UnionSchema: // a default is of the first branch
		return appendDefault(appendLong(dst, 0), s.Types()[0], v)
	case *hamba.RecordSchema:
		object, _ := v.(map[string]any)
		for _, f := range s.Fields() {
			value, given := object[f.Name()]
			if !given {
				value = f.Default()
			}
			dst = appendDefault(dst, f.Type(), value)
		}
		return dst
	case *hamba.ArraySchema:
		items, _ := v.([]any)
		if len(items) > 0 {
			dst = appendLong(dst, int64(len(items)))
		}
		for _, item := range items {
			dst = appendDefault(dst, s.Items(), item)
		}
		return appendLong(dst, 0)
	case *hamba.MapSchema:
		entries, _ := v.(map[string]any)
		if len(entries) > 0 {
			dst = appendLong(dst, int64(len(entries)))
		}
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			dst = appendDefault(appendText(dst, name), s.Values(), entries[name])
		}
		return appendLong(dst, 0)
	case *hamba.EnumSchema:
		symbol, _ := v.(string)
		return appendLong(dst, int64(max(0, slices.Index(s.Symbols(), symbol))))
	}
	return appendPlainDefault(dst, v)
}

// appendPlainDefault appends a value that holds no other; null is nothing.
func appendPlainDefault(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return appendBool(dst, v)
	case int:
		return appendLong(dst, int64(v))
	case int64:
		return appendLong(dst, v)
	case float32:
		return appendFloat(dst, v)
	case float64:
		return appendDouble(dst, v)
	case string:
		return appendText(dst, v)
	case []byte:
		return appendText(dst, string(v))
	}
	if fixed := reflect.ValueOf(v); fixed.Kind() == reflect.Array {
		for i := range fixed.Len() {
			dst = append(dst, byte(fixed.Index(i).Uint()))
		}
	}
	return dst
}
