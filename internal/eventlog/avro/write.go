package avro

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	hamba "github.com/hamba/avro/v2"
)

// jsonWriter turns Avro binary into JSON, whatever the schema.
type jsonWriter struct {
	src source
	out []byte
}

// maxDepth bounds how deep values may nest, so that bytes of a schema that refers to itself cannot fill the stack.
const maxDepth = 1000

func (w *jsonWriter) value(s hamba.Schema, depth int) {
	if depth == maxDepth || w.src.bad {
		w.src.fail()
		return
	}
	switch s := s.(type) {
	case *hamba.RecordSchema:
		w.record(s, depth)
	case *hamba.ArraySchema:
		w.items('[', ']', func() { w.value(s.Items(), depth+1) })
	case *hamba.MapSchema:
		w.items('{', '}', func() {
			w.text(string(w.src.bytes()))
			w.out = append(w.out, ':')
			w.value(s.Values(), depth+1)
		})
	case *hamba.UnionSchema:
		w.union(s, depth)
	case *hamba.EnumSchema:
		if i := w.src.long(); i >= 0 && i < int64(len(s.Symbols())) {
			w.text(s.Symbols()[i])
		} else {
			w.src.fail()
		}
	case *hamba.RefSchema:
		w.value(s.Schema(), depth+1)
	case *hamba.FixedSchema:
		w.base64(w.src.fixed(s.Size()))
	default:
		w.scalar(s)
	}
}

func (w *jsonWriter) record(s *hamba.RecordSchema, depth int) {
	w.out = append(w.out, '{')
	for i, f := range s.Fields() {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.text(f.Name())
		w.out = append(w.out, ':')
		w.value(f.Type(), depth+1)
	}
	w.out = append(w.out, '}')
}

// items writes the blocks of an array or a map.
func (w *jsonWriter) items(begin, end byte, item func()) {
	w.out = append(w.out, begin)
	first := true
	for n := w.src.block(); n > 0 && !w.src.bad; n = w.src.block() {
		for range n {
			if !first {
				w.out = append(w.out, ',')
			}
			first = false
			if item(); w.src.bad {
				return
			}
		}
	}
	w.out = append(w.out, end)
}

// union writes the value of a branch. A double that looks like an integer gets a point where an integer could be meant.
func (w *jsonWriter) union(s *hamba.UnionSchema, depth int) {
	i := w.src.long()
	if i < 0 || i >= int64(len(s.Types())) {
		w.src.fail()
		return
	}
	branch, start := s.Types()[i], len(w.out)
	w.value(branch, depth+1)
	if branch.Type() != hamba.Double && branch.Type() != hamba.Float || strings.ContainsAny(string(w.out[start:]), ".eEN\"") {
		return
	}
	for _, b := range s.Types() {
		if isInteger(b) {
			w.out = append(w.out, '.', '0')
			return
		}
	}
}

func (w *jsonWriter) scalar(s hamba.Schema) {
	switch s.Type() {
	case hamba.String:
		w.text(string(w.src.bytes()))
	case hamba.Bytes:
		w.base64(w.src.bytes())
	case hamba.Int:
		w.integer(s, int64(w.src.int()))
	case hamba.Long:
		w.integer(s, w.src.long())
	case hamba.Double:
		w.double(w.src.double(), 64)
	case hamba.Float:
		w.double(float64(w.src.float()), 32)
	case hamba.Boolean:
		w.out = strconv.AppendBool(w.out, w.src.bool())
	case hamba.Null:
		w.out = append(w.out, "null"...)
	default:
		w.src.fail()
	}
}

func (w *jsonWriter) integer(s hamba.Schema, n int64) {
	c, isTime := calendars[logical(s)]
	if !isTime {
		w.out = strconv.AppendInt(w.out, n, 10)
		return
	}
	layout := c.layout
	t := c.at(n).UTC()
	if y := t.Year(); y < 0 || y > 9999 { // RFC 3339 ends there
		w.out = strconv.AppendInt(w.out, n, 10)
		return
	}
	w.out = append(t.AppendFormat(append(w.out, '"'), layout), '"')
}

func (w *jsonWriter) double(v float64, bits int) {
	size := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		w.out = append(strconv.AppendFloat(append(w.out, '"'), v, 'g', -1, bits), '"')
	case v != 0 && (size < 1e-6 || size >= 1e21): // as ECMAScript writes numbers
		w.out = strconv.AppendFloat(w.out, v, 'e', -1, bits)
	default:
		w.out = strconv.AppendFloat(w.out, v, 'f', -1, bits)
	}
}

// text writes a JSON string; what is no UTF-8 in it becomes U+FFFD.
func (w *jsonWriter) text(v string) { w.out, _ = jsontext.AppendQuote(w.out, v) }

func (w *jsonWriter) base64(v []byte) {
	w.out = append(base64.StdEncoding.AppendEncode(append(w.out, '"'), v), '"')
}
