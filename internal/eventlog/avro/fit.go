package avro

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	hamba "github.com/hamba/avro/v2"
)

// fit appends a JSON value as s says. On a misfit it returns what it was given, or more.
func fit(dst []byte, s hamba.Schema, v any) ([]byte, *Misfit) {
	switch s := s.(type) {
	case *hamba.RecordSchema:
		return fitRecord(dst, s, v)
	case *hamba.ArraySchema:
		return fitArray(dst, s, v)
	case *hamba.MapSchema:
		return fitMap(dst, s, v)
	case *hamba.UnionSchema:
		return fitUnion(dst, s, v)
	case *hamba.EnumSchema:
		return fitEnum(dst, s, v)
	case *hamba.RefSchema:
		return fit(dst, s.Schema(), v)
	}
	return fitScalar(dst, s, v)
}

func fitRecord(dst []byte, s *hamba.RecordSchema, v any) ([]byte, *Misfit) {
	object, ok := v.(map[string]any)
	if !ok {
		return dst, misfit("%s wants an object, got %s", s.Name(), named(v))
	}
	var wrong *Misfit
	known := 0
	for _, f := range s.Fields() {
		value, given := object[f.Name()]
		switch {
		case given:
			known++
			if dst, wrong = fit(dst, f.Type(), value); wrong != nil {
				return dst, wrong.in(f.Name())
			}
		case f.HasDefault():
			dst = appendDefault(dst, f.Type(), f.Default())
		default:
			return dst, misfit("is missing").in(f.Name())
		}
	}
	if known < len(object) {
		return dst, misfit("is unknown").in(firstUnknown(s, object))
	}
	return dst, nil
}

func firstUnknown(s *hamba.RecordSchema, object map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if !slices.ContainsFunc(s.Fields(), func(f *hamba.Field) bool { return f.Name() == name }) {
			return name
		}
	}
	return ""
}

func fitArray(dst []byte, s *hamba.ArraySchema, v any) ([]byte, *Misfit) {
	items, ok := v.([]any)
	if !ok {
		return dst, misfit("want an array, got %s", named(v))
	}
	if len(items) > 0 {
		dst = appendLong(dst, int64(len(items)))
	}
	var wrong *Misfit
	for i := range items {
		if dst, wrong = fit(dst, s.Items(), items[i]); wrong != nil {
			return dst, wrong.at(i)
		}
	}
	return appendLong(dst, 0), nil
}

// fitMap appends the entries in the order of their names, so that equal objects are equal bytes.
func fitMap(dst []byte, s *hamba.MapSchema, v any) ([]byte, *Misfit) {
	entries, ok := v.(map[string]any)
	if !ok {
		return dst, misfit("want an object, got %s", named(v))
	}
	if len(entries) > 0 {
		dst = appendLong(dst, int64(len(entries)))
	}
	var wrong *Misfit
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		dst = appendText(dst, name)
		if dst, wrong = fit(dst, s.Values(), entries[name]); wrong != nil {
			return dst, wrong.in(name)
		}
	}
	return appendLong(dst, 0), nil
}

// fitUnion takes the first branch that the value fits; a number without fraction or exponent prefers an integer branch. Where
// only one branch could take the value at all, its misfit is what is told.
func fitUnion(dst []byte, s *hamba.UnionSchema, v any) ([]byte, *Misfit) {
	start, branches := len(dst), s.Types()
	n, isNumber := v.(json.Number)
	whole := isNumber && !strings.ContainsAny(n.String(), ".eE")
	var wrong *Misfit
	for _, integersOnly := range []bool{true, false} {
		for i, b := range branches {
			if integersOnly && (!whole || !isInteger(b)) {
				continue
			}
			fitted, misfit := fit(appendLong(dst[:start], int64(i)), b, v)
			if misfit == nil {
				return fitted, nil
			}
			if b.Type() != hamba.Null {
				wrong = misfit
			}
		}
	}
	if len(branches) == 2 && s.Nullable() && wrong != nil {
		return dst[:start], wrong
	}
	return dst[:start], misfit("%s fits no branch of %s", named(v), unionNames(s))
}

func isInteger(s hamba.Schema) bool { return s.Type() == hamba.Long || s.Type() == hamba.Int }

func unionNames(s *hamba.UnionSchema) string {
	names := make([]string, 0, len(s.Types()))
	for _, b := range s.Types() {
		if ref, ok := b.(*hamba.RefSchema); ok {
			b = ref.Schema()
		}
		name := string(b.Type())
		if n, ok := b.(hamba.NamedSchema); ok {
			name = n.Name()
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

func fitEnum(dst []byte, s *hamba.EnumSchema, v any) ([]byte, *Misfit) {
	text, ok := v.(string)
	if !ok {
		return dst, misfit("want one of %s, got %s", strings.Join(s.Symbols(), ", "), named(v))
	}
	i := slices.Index(s.Symbols(), text)
	if i < 0 {
		return dst, misfit("want one of %s, got %.100q", strings.Join(s.Symbols(), ", "), text)
	}
	return appendLong(dst, int64(i)), nil
}
