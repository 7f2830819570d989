package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// columnType is a type as far as its length in Native matters.
type columnType struct {
	name  string
	size  int // of fixed-size values
	inner []columnType
}

// typeOf reads a type's text: "Map(LowCardinality(String), Array(Nullable(Float64)))".
func typeOf(text string) (columnType, error) { return parseType(text, deepest) }

// deepest is how far types may be nested.
const deepest = 64

func parseType(text string, depth int) (columnType, error) {
	name, args, nested := strings.Cut(text, "(")
	if nested {
		args = strings.TrimSuffix(args, ")")
	}
	if size, fixed := fixedSizes[name]; fixed {
		return columnType{name: name, size: size}, nil
	}
	if alias, known := aliases[name]; known {
		return parseType(alias, depth)
	}
	if depth == 0 {
		return columnType{}, fmt.Errorf("type %s is nested too deeply", name)
	}
	switch name {
	case "String", "JSON":
		return columnType{name: name}, nil
	case "FixedString":
		n, err := strconv.Atoi(args)
		return columnType{name: name, size: max(n, 0)}, err
	case "Decimal":
		return decimal(args)
	case "SimpleAggregateFunction":
		if parts := splitArguments(args); len(parts) == 2 {
			return parseType(parts[1], depth-1)
		}
	case "Nested":
		return parseType("Array(Tuple("+args+"))", depth)
	case "Array", "Nullable", "LowCardinality", "Map", "Tuple", "Variant":
		return composite(name, splitArguments(args), depth-1)
	}
	return columnType{}, fmt.Errorf("type %s cannot be sent in the Native format of this client", text)
}

// composite reads a type that is made of others.
func composite(name string, args []string, depth int) (columnType, error) {
	t := columnType{name: name}
	if want := map[string]int{"Array": 1, "Nullable": 1, "LowCardinality": 1, "Map": 2}[name]; want > 0 && len(args) != want {
		return t, fmt.Errorf("type %s has %d arguments", name, len(args))
	}
	for _, arg := range args {
		if name == "Tuple" {
			arg = element(arg)
		}
		inner, err := parseType(arg, depth)
		if err != nil {
			return t, err
		}
		t.inner = append(t.inner, inner)
	}
	return t, nil
}

// aliases are types that are others in Native.
var aliases = map[string]string{
	"Point":           "Tuple(Float64, Float64)",
	"Ring":            "Array(Point)",
	"LineString":      "Array(Point)",
	"Polygon":         "Array(Ring)",
	"MultiLineString": "Array(LineString)",
	"MultiPolygon":    "Array(Polygon)",
}

// fixedSizes are the bytes of a value.
var fixedSizes = map[string]int{
	"UInt8": 1, "Int8": 1, "Bool": 1, "Enum8": 1, "Nothing": 1,
	"UInt16": 2, "Int16": 2, "Enum16": 2, "Date": 2, "BFloat16": 2,
	"UInt32": 4, "Int32": 4, "Float32": 4, "DateTime": 4, "Date32": 4, "IPv4": 4, "Decimal32": 4, "Time": 4,
	"UInt64": 8, "Int64": 8, "Float64": 8, "DateTime64": 8, "Decimal64": 8, "Time64": 8,
	"IntervalSecond": 8, "IntervalMinute": 8, "IntervalHour": 8, "IntervalDay": 8, "IntervalWeek": 8, "IntervalMonth": 8,
	"IntervalQuarter": 8, "IntervalYear": 8, "IntervalMillisecond": 8, "IntervalMicrosecond": 8, "IntervalNanosecond": 8,
	"UInt128": 16, "Int128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16,
	"UInt256": 32, "Int256": 32, "Decimal256": 32,
}

// decimal finds the size of Decimal(precision, scale).
func decimal(args string) (columnType, error) {
	precision, err := strconv.Atoi(strings.TrimSpace(splitArguments(args)[0]))
	size := 32
	switch {
	case precision <= 9:
		size = 4
	case precision <= 18:
		size = 8
	case precision <= 38:
		size = 16
	}
	return columnType{name: "Decimal", size: size}, err
}

// splitArguments splits at the commas that stand outside parentheses and quotes.
func splitArguments(args string) []string {
	var parts []string
	depth, start := 0, 0
	for i := 0; i < len(args); i++ {
		switch c := args[i]; {
		case c == '\'' || c == '`':
			i = quotedEnd([]byte(args), i) - 1
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, strings.TrimSpace(args[start:i]))
			start = i + 1
		}
	}
	return append(parts, strings.TrimSpace(args[start:]))
}

// element drops the name of a tuple's element: "name Type".
func element(arg string) string {
	if strings.HasPrefix(arg, "`") {
		return strings.TrimSpace(arg[quotedEnd([]byte(arg), 0):])
	}
	open, space := strings.IndexByte(arg, '('), strings.IndexByte(arg, ' ')
	if space < 0 || open >= 0 && open < space {
		return arg
	}
	return arg[space+1:]
}
