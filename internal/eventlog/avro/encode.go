package avro

import (
	"fmt"
	"reflect"
	"unsafe"

	hamba "github.com/hamba/avro/v2"

	"github.com/fieldlog/fieldlog/schemas"
)

// Encoder appends events of type E in Avro binary. It is immutable and safe for concurrent use.
type Encoder[E any] struct {
	steps []encodeStep
}

// encodeStep appends the field at offset.
type encodeStep struct {
	write  func(dst []byte, p unsafe.Pointer) []byte
	offset uintptr
}

// NewEncoder compiles the encoder of E for a schema. Every field of the schema must have a field in E.
func NewEncoder[E any](s *Schema) (*Encoder[E], error) {
	steps, err := encodeRecord(s.record, reflect.TypeFor[E]())
	if err != nil {
		return nil, fmt.Errorf("compile encoder of %q: %w", s.Name(), err)
	}
	return &Encoder[E]{steps: steps}, nil
}

// Append appends the binary form of event.
func (e *Encoder[E]) Append(dst []byte, event *E) []byte {
	return e.AppendPointer(dst, unsafe.Pointer(event))
}

// AppendPointer is Append for callers that know the type only at run time. event must point to an E.
func (e *Encoder[E]) AppendPointer(dst []byte, event unsafe.Pointer) []byte {
	for i := range e.steps {
		dst = e.steps[i].write(dst, unsafe.Add(event, e.steps[i].offset))
	}
	return dst
}

func encodeRecord(r *hamba.RecordSchema, t reflect.Type) ([]encodeStep, error) {
	places, err := targets(t)
	if err != nil {
		return nil, err
	}
	steps := make([]encodeStep, 0, len(r.Fields()))
	for _, f := range r.Fields() {
		place, ok := places[f.Name()]
		if !ok {
			return nil, fmt.Errorf("%v has no field tagged avro:%q", t, f.Name())
		}
		write, err := encodeField(f.Type(), place.typ)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Name(), err)
		}
		steps = append(steps, encodeStep{write: write, offset: place.offset})
	}
	return steps, nil
}

func encodeField(s hamba.Schema, t reflect.Type) (func([]byte, unsafe.Pointer) []byte, error) {
	switch {
	case s.Type() == hamba.String && t.Kind() == reflect.String, s.Type() == hamba.Bytes && isBytes(t):
		return writeBytes, nil // a string's header begins as a slice's does: pointer, length
	case s.Type() == hamba.Long && t.Kind() == reflect.Int64:
		return func(dst []byte, p unsafe.Pointer) []byte { return appendLong(dst, *(*int64)(p)) }, nil
	case s.Type() == hamba.Int && t.Kind() == reflect.Int32:
		return func(dst []byte, p unsafe.Pointer) []byte { return appendLong(dst, int64(*(*int32)(p))) }, nil
	case s.Type() == hamba.Double && t.Kind() == reflect.Float64:
		return func(dst []byte, p unsafe.Pointer) []byte { return appendDouble(dst, *(*float64)(p)) }, nil
	case s.Type() == hamba.Boolean && t.Kind() == reflect.Bool:
		return func(dst []byte, p unsafe.Pointer) []byte { return appendBool(dst, *(*bool)(p)) }, nil
	case s.Type() == hamba.Union && t == valueType:
		return encodeValue(s.(*hamba.UnionSchema))
	case s.Type() == hamba.Map && isLabels(t):
		return writeLabels, nil
	case s.Type() == hamba.Array && t.Kind() == reflect.Slice:
		return encodeArray(s.(*hamba.ArraySchema), t)
	}
	return nil, fmt.Errorf("no encoding of %v as %s", t, s.Type())
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

func writeBytes(dst []byte, p unsafe.Pointer) []byte {
	text := *(*string)(p)
	return append(appendLong(dst, int64(len(text))), text...)
}

func writeLabels(dst []byte, p unsafe.Pointer) []byte {
	labels := *(*[]schemas.Label)(p)
	if len(labels) > 0 {
		dst = appendLong(dst, int64(len(labels)))
	}
	for i := range labels {
		dst = writeBytes(dst, unsafe.Pointer(&labels[i].Name))
		dst = writeBytes(dst, unsafe.Pointer(&labels[i].Value))
	}
	return append(dst, 0)
}

func encodeArray(a *hamba.ArraySchema, t reflect.Type) (func([]byte, unsafe.Pointer) []byte, error) {
	record, ok := a.Items().(*hamba.RecordSchema)
	if !ok {
		return nil, fmt.Errorf("no encoding of an array of %s", a.Items().Type())
	}
	steps, err := encodeRecord(record, t.Elem())
	if err != nil {
		return nil, err
	}
	size := t.Elem().Size()
	return func(dst []byte, p unsafe.Pointer) []byte {
		n := len(*(*[]struct{})(p))
		if n > 0 {
			dst = appendLong(dst, int64(n))
		}
		first := *(*unsafe.Pointer)(p)
		for k := range n {
			item := unsafe.Add(first, uintptr(k)*size)
			for i := range steps {
				dst = steps[i].write(dst, unsafe.Add(item, steps[i].offset))
			}
		}
		return append(dst, 0)
	}, nil
}

// encodeValue requires the union's branches to stand in the order of schemas.ValueType.
func encodeValue(u *hamba.UnionSchema) (func([]byte, unsafe.Pointer) []byte, error) {
	want := []hamba.Type{hamba.Double, hamba.Long, hamba.Boolean, hamba.String}
	for i, branch := range u.Types() {
		if i >= len(want) || branch.Type() != want[i] {
			return nil, fmt.Errorf("branch %d of the value's union is %s", i, branch.Type())
		}
	}
	return func(dst []byte, p unsafe.Pointer) []byte {
		v := (*schemas.Value)(p)
		dst = append(dst, byte(v.Type())<<1)
		switch v.Type() {
		case schemas.Double:
			return appendDouble(dst, v.Double())
		case schemas.Integer:
			return appendLong(dst, v.Integer())
		case schemas.Boolean:
			return appendBool(dst, v.Boolean())
		default:
			text := v.Text()
			return append(appendLong(dst, int64(len(text))), text...)
		}
	}, nil
}
