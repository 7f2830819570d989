package avro

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	hamba "github.com/hamba/avro/v2"
)

// fitScalar appends a value that holds no other.
func fitScalar(dst []byte, s hamba.Schema, v any) ([]byte, *Misfit) {
	switch v := v.(type) {
	case nil:
		if s.Type() == hamba.Null {
			return dst, nil
		}
	case bool:
		if s.Type() == hamba.Boolean {
			return appendBool(dst, v), nil
		}
	case string:
		return fitText(dst, s, v)
	case json.Number:
		return fitNumber(dst, s, v)
	}
	return dst, misfit("want %s, got %s", s.Type(), named(v))
}

// fitText takes texts, bytes in base64, and instants and dates in the words of RFC 3339.
func fitText(dst []byte, s hamba.Schema, v string) ([]byte, *Misfit) {
	switch s := s.(type) {
	case *hamba.FixedSchema:
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(b) != s.Size() {
			return dst, misfit("want %d bytes in base64", s.Size())
		}
		return append(dst, b...), nil
	case *hamba.PrimitiveSchema:
		if s.Type() == hamba.String {
			return appendText(dst, v), nil
		}
		if s.Type() == hamba.Bytes {
			b, err := base64.StdEncoding.DecodeString(v)
			if err != nil {
				return dst, misfit("want bytes in base64")
			}
			return append(appendLong(dst, int64(len(b))), b...), nil
		}
		return fitTime(dst, s, v)
	}
	return dst, misfit("want %s, got a text", s.Type())
}

func fitTime(dst []byte, s hamba.Schema, v string) ([]byte, *Misfit) {
	c, isTime := calendars[logical(s)]
	if !isTime {
		return dst, misfit("want %s, got a text", s.Type())
	}
	t, err := time.Parse(c.layout, v)
	if err != nil {
		return dst, misfit("want %s", c.want)
	}
	return appendLong(dst, c.count(t)), nil
}

func fitNumber(dst []byte, s hamba.Schema, v json.Number) ([]byte, *Misfit) {
	switch s.Type() {
	case hamba.Double:
		if f, err := v.Float64(); err == nil {
			return appendDouble(dst, f), nil
		}
		return dst, misfit("does not fit a double")
	case hamba.Float:
		if f, err := strconv.ParseFloat(v.String(), 32); err == nil {
			return appendFloat(dst, float32(f)), nil
		}
		return dst, misfit("does not fit a float")
	case hamba.Int, hamba.Long:
		size := 64
		if s.Type() == hamba.Int {
			size = 32
		}
		if n, err := strconv.ParseInt(v.String(), 10, size); err == nil {
			return appendLong(dst, n), nil
		}
		return dst, misfit("want a whole number of %d bits", size)
	}
	return dst, misfit("want %s, got a number", s.Type())
}

// calendar is how one of Avro's logical types of time counts.
type calendar struct {
	layout, want string
	count        func(time.Time) int64
	at           func(int64) time.Time
}

const day = 24 * 60 * 60

var calendars = map[hamba.LogicalType]calendar{
	hamba.TimestampMicros: {time.RFC3339Nano, "a time in RFC 3339", time.Time.UnixMicro, time.UnixMicro},
	hamba.TimestampMillis: {time.RFC3339Nano, "a time in RFC 3339", time.Time.UnixMilli, time.UnixMilli},
	hamba.Date: {time.DateOnly, "a date like 2006-01-02", func(t time.Time) int64 { return t.Unix() / day },
		func(n int64) time.Time { return time.Unix(n*day, 0) }},
}

func logical(s hamba.Schema) hamba.LogicalType {
	if p, ok := s.(*hamba.PrimitiveSchema); ok && p.Logical() != nil {
		return p.Logical().Type()
	}
	return ""
}

func appendText(dst []byte, v string) []byte { return append(appendLong(dst, int64(len(v))), v...) }

func appendFloat(dst []byte, v float32) []byte {
	u := math.Float32bits(v)
	return append(dst, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
}
