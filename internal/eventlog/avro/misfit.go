package avro

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Misfit says where a JSON value does not fit its schema, and why.
type Misfit struct {
	// Field is the path of the value: "readings[3].value"; empty for the whole.
	Field string
	// Reason says what is wrong with it.
	Reason string
}

// Error implements error.
func (m *Misfit) Error() string {
	if m.Field == "" {
		return m.Reason
	}
	return fmt.Sprintf("field %q: %s", m.Field, m.Reason)
}

func misfit(format string, args ...any) *Misfit { return &Misfit{Reason: fmt.Sprintf(format, args...)} }

// in puts a field's name, or an item's number, before the path.
func (m *Misfit) in(name string) *Misfit {
	switch {
	case m.Field == "" || m.Field[0] == '[':
		m.Field = name + m.Field
	default:
		m.Field = name + "." + m.Field
	}
	return m
}

func (m *Misfit) at(i int) *Misfit { return m.in("[" + strconv.Itoa(i) + "]") }

// named tells what kind of JSON value v is.
func named(v any) string {
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
