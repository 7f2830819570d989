package schemas

import (
	"math"
	"strconv"
)

// ValueType tells which of the four types a Value holds. Its number is the branch in the Avro union.
type ValueType uint8

// The types of a value.
const (
	Double ValueType = iota
	Integer
	Boolean
	Text
)

// String returns the name used in JSON and in tables.
func (t ValueType) String() string {
	return [...]string{"double", "integer", "boolean", "text"}[t&3]
}

// Value is a double, a 64-bit integer, a boolean or a text. Integers keep every bit. The zero Value is the double 0.
type Value struct {
	text string
	bits uint64
	kind ValueType
}

// DoubleValue returns a double. The gateway refuses NaN and infinities; a Value itself can hold them.
func DoubleValue(v float64) Value { return Value{kind: Double, bits: math.Float64bits(v)} }

// IntegerValue returns an integer.
func IntegerValue(v int64) Value { return Value{kind: Integer, bits: uint64(v)} }

// BooleanValue returns a boolean.
func BooleanValue(v bool) Value {
	if v {
		return Value{kind: Boolean, bits: 1}
	}
	return Value{kind: Boolean}
}

// TextValue returns a text.
func TextValue(v string) Value { return Value{kind: Text, text: v} }

// Type tells what the value is.
func (v Value) Type() ValueType { return v.kind }

// Double returns the value of a Double.
func (v Value) Double() float64 { return math.Float64frombits(v.bits) }

// Integer returns the value of an Integer.
func (v Value) Integer() int64 { return int64(v.bits) }

// Boolean returns the value of a Boolean.
func (v Value) Boolean() bool { return v.bits != 0 }

// Text returns the value of a Text, empty for every other type.
func (v Value) Text() string { return v.text }

// Number returns the value as trends see it: integers rounded to the nearest double, booleans as 0 and 1, texts as 0.
func (v Value) Number() float64 {
	switch v.kind {
	case Double:
		return v.Double()
	case Integer, Boolean:
		return float64(int64(v.bits))
	default:
		return 0
	}
}

// String writes the value as JSON would, texts in quotes.
func (v Value) String() string {
	switch v.kind {
	case Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	case Integer:
		return strconv.FormatInt(v.Integer(), 10)
	case Boolean:
		return strconv.FormatBool(v.Boolean())
	default:
		return strconv.Quote(v.text)
	}
}
