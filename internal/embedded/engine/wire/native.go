package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The library writes Native at revision 0: name, type and data of each column. A client of a later revision expects
// information about the block first, and a byte about the column's serialization before its data (ClickHouse,
// NativeWriter.cpp). The data itself is the same, so it is passed through as it is; only its length has to be found.
const (
	revisionBlockInfo           = 51903
	revisionCustomSerialization = 54454
)

var errShort = errors.New("native block is truncated")

// atRevision rewrites Native blocks of revision 0 for a client of a later revision.
func atRevision(data []byte, revision int) ([]byte, error) {
	out := make([]byte, 0, len(data)+64)
	c := &cursor{data: data}
	for c.at < len(data) {
		columns, rows := c.uvarint(), c.uvarint()
		if revision >= revisionBlockInfo {
			out = append(out, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0) // is_overflows=0, bucket_num=-1, end
		}
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(columns)), uint64(rows))
		for range columns {
			start := c.at
			c.skip(c.uvarint()) // name
			kind := string(c.take(c.uvarint()))
			out = append(out, data[min(start, len(data)):c.at]...)
			if revision >= revisionCustomSerialization {
				out = append(out, 0)
			}
			if start = c.at; rows > 0 {
				t, err := parseType(kind)
				if err != nil {
					return nil, err
				}
				c.prefix(t)
				c.column(t, rows)
			}
			out = append(out, data[start:c.at]...)
			if c.short {
				return nil, errShort
			}
		}
	}
	return out, nil
}

// columnType is a type as far as its length in Native matters.
type columnType struct {
	name  string
	size  int // of fixed-size values
	inner []columnType
}

// parseType reads a type's text: "Map(LowCardinality(String), Array(Nullable(Float64)))".
func parseType(text string) (columnType, error) {
	name, args, nested := strings.Cut(text, "(")
	if nested {
		args = strings.TrimSuffix(args, ")")
	}
	if size, fixed := fixedSizes()[name]; fixed {
		return columnType{name: name, size: size}, nil
	}
	switch name {
	case "String", "JSON":
		return columnType{name: "String"}, nil
	case "FixedString":
		n, err := strconv.Atoi(args)
		return columnType{name: name, size: n}, err
	case "Decimal":
		return decimal(args)
	case "SimpleAggregateFunction":
		return parseType(splitArguments(args)[1])
	case "Array", "Nullable", "LowCardinality", "Map", "Tuple":
		t := columnType{name: name}
		for _, arg := range splitArguments(args) {
			if _, element, named := cutElement(arg); named && name == "Tuple" {
				arg = element
			}
			inner, err := parseType(arg)
			if err != nil {
				return t, err
			}
			t.inner = append(t.inner, inner)
		}
		return t, nil
	}
	return columnType{}, fmt.Errorf("type %s cannot be sent in the Native format of this client", text)
}

func fixedSizes() map[string]int {
	return map[string]int{
		"UInt8": 1, "Int8": 1, "Bool": 1, "Enum8": 1, "Nothing": 1,
		"UInt16": 2, "Int16": 2, "Enum16": 2, "Date": 2, "BFloat16": 2,
		"UInt32": 4, "Int32": 4, "Float32": 4, "DateTime": 4, "Date32": 4, "IPv4": 4, "Decimal32": 4, "Time": 4,
		"UInt64": 8, "Int64": 8, "Float64": 8, "DateTime64": 8, "Decimal64": 8, "Time64": 8,
		"IntervalSecond": 8, "IntervalMinute": 8, "IntervalHour": 8, "IntervalDay": 8, "IntervalWeek": 8, "IntervalMonth": 8,
		"IntervalQuarter": 8, "IntervalYear": 8, "IntervalMillisecond": 8, "IntervalMicrosecond": 8, "IntervalNanosecond": 8,
		"UInt128": 16, "Int128": 16, "UUID": 16, "IPv6": 16, "Decimal128": 16,
		"UInt256": 32, "Int256": 32, "Decimal256": 32,
	}
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
	depth, start, quoted := 0, 0, false
	for i := range len(args) {
		switch c := args[i]; {
		case c == '\'' && (i == 0 || args[i-1] != '\\'):
			quoted = !quoted
		case quoted:
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

// cutElement splits a named tuple's element "name Type".
func cutElement(arg string) (name, element string, named bool) {
	open := strings.IndexByte(arg, '(')
	space := strings.IndexByte(arg, ' ')
	if space < 0 || open >= 0 && open < space {
		return "", arg, false
	}
	return arg[:space], arg[space+1:], true
}

// cursor moves over a block. The first read past the end sets short.
type cursor struct {
	data  []byte
	at    int
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.data)-c.at {
		c.short, c.at = true, len(c.data)
		return nil
	}
	c.at += n
	return c.data[c.at-n : c.at]
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) uvarint() int {
	v, n := binary.Uvarint(c.data[c.at:])
	if n <= 0 || v > uint64(len(c.data)) && v > 1<<40 {
		c.short, c.at = true, len(c.data)
		return 0
	}
	c.at += n
	return int(v)
}

func (c *cursor) uint64() uint64 {
	b := c.take(8)
	if b == nil {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// prefix skips what stands before the data of a column: the version of each LowCardinality in it.
func (c *cursor) prefix(t columnType) {
	if t.name == "LowCardinality" {
		c.skip(8)
		return
	}
	for _, inner := range t.inner {
		c.prefix(inner)
	}
}

// column skips the data of a column of that many rows.
func (c *cursor) column(t columnType, rows int) {
	switch t.name {
	case "String":
		for range rows {
			if c.skip(c.uvarint()); c.short {
				return
			}
		}
	case "Nullable":
		c.skip(rows)
		c.column(t.inner[0], rows)
	case "Array", "Map":
		c.nested(t.inner, rows)
	case "Tuple":
		for _, inner := range t.inner {
			c.column(inner, rows)
		}
	case "LowCardinality":
		c.dictionary(t.inner[0], rows)
	default:
		if t.size > 0 && rows > len(c.data)/t.size {
			c.short = true
			return
		}
		c.skip(t.size * rows)
	}
}

// nested skips offsets and then the elements they add up to.
func (c *cursor) nested(inner []columnType, rows int) {
	var total uint64
	for range rows {
		if total = c.uint64(); c.short {
			return
		}
	}
	if total > uint64(len(c.data)) {
		c.short = true
		return
	}
	for _, t := range inner {
		c.column(t, int(total))
	}
}

// dictionary skips the keys and the indexes of a LowCardinality column.
func (c *cursor) dictionary(inner columnType, rows int) {
	if rows == 0 {
		return
	}
	flags := c.uint64()
	if inner.name == "Nullable" {
		inner = inner.inner[0]
	}
	keys := c.uint64()
	if keys > uint64(len(c.data)) {
		c.short = true
		return
	}
	c.column(inner, int(keys))
	indexes := c.uint64()
	if indexes > uint64(len(c.data)) {
		c.short = true
		return
	}
	c.skip(int(indexes) << (flags & 0xff))
}
