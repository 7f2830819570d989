package avro

import (
	"fmt"
	"reflect"
	"unsafe"

	hamba "github.com/hamba/avro/v2"

	"github.com/fieldlog/fieldlog/schemas"
)

// Decoder reads events of type E that one writer's schema wrote. It belongs to one goroutine.
type Decoder[E any] struct {
	steps  []decodeStep
	source source // kept here so that a call does not allocate one
}

// decodeStep reads the next field into base+offset.
type decodeStep struct {
	read   func(s *source, p unsafe.Pointer)
	offset uintptr
}

// NewDecoder compiles the decoder of E for what writer wrote. reader is today's schema of E, whose defaults fill the
// fields that writer does not have.
func NewDecoder[E any](reader, writer *Schema) (*Decoder[E], error) {
	if err := Check(reader, writer); err != nil {
		return nil, err
	}
	steps, err := decodeRecord(reader.record, writer.record, reflect.TypeFor[E]())
	if err != nil {
		return nil, fmt.Errorf("compile decoder of %q: %w", writer.Name(), err)
	}
	return &Decoder[E]{steps: steps}, nil
}

// Decode reads one event from data into event, whose slices it uses again. Strings and bytes point into data.
// The error is ErrCorrupt; event is then in no particular state.
func (d *Decoder[E]) Decode(data []byte, event *E) error {
	s := &d.source
	*s = source{buf: data}
	base := unsafe.Pointer(event)
	for i := range d.steps {
		d.steps[i].read(s, unsafe.Add(base, d.steps[i].offset))
	}
	if s.bad {
		return fmt.Errorf("decode %d bytes: %w", len(data), ErrCorrupt)
	}
	if s.pos != len(data) {
		return fmt.Errorf("decode %d bytes: %d left over: %w", len(data), len(data)-s.pos, ErrCorrupt)
	}
	return nil
}

// decodeRecord reads the writer's fields in their order, then sets what only the reader has to its default.
func decodeRecord(reader, writer *hamba.RecordSchema, t reflect.Type) ([]decodeStep, error) {
	places, err := targets(t)
	if err != nil {
		return nil, err
	}
	today := map[string]*hamba.Field{}
	for _, f := range reader.Fields() {
		today[f.Name()] = f
	}
	steps := make([]decodeStep, 0, len(writer.Fields()))
	for _, f := range writer.Fields() {
		place, known := places[f.Name()]
		if !known || today[f.Name()] == nil {
			steps = append(steps, decodeStep{read: skip(f.Type())})
			continue
		}
		read, err := decodeField(today[f.Name()].Type(), f.Type(), place.typ)
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", f.Name(), err)
		}
		steps = append(steps, decodeStep{read: read, offset: place.offset})
		delete(today, f.Name())
	}
	for name, f := range today {
		if place, known := places[name]; known {
			steps = append(steps, decodeStep{read: setDefault(f, place.typ), offset: place.offset})
		}
	}
	return steps, nil
}

// setDefault sets a field that the writer did not know.
func setDefault(f *hamba.Field, t reflect.Type) func(*source, unsafe.Pointer) {
	value := reflect.Zero(t)
	if d := reflect.ValueOf(f.Default()); d.IsValid() && d.Kind() != reflect.Slice && d.CanConvert(t) {
		value = d.Convert(t)
	}
	return func(_ *source, p unsafe.Pointer) { reflect.NewAt(t, p).Elem().Set(value) }
}

func decodeField(reader, s hamba.Schema, t reflect.Type) (func(*source, unsafe.Pointer), error) {
	if t == valueType {
		return decodeValue(s)
	}
	if t.Kind() == reflect.Slice && !isBytes(t) {
		return decodeSlice(reader, s, t)
	}
	read := decodeScalar(s.Type(), t)
	if read == nil {
		return nil, fmt.Errorf("no decoding of %s into %v", s.Type(), t)
	}
	return read, nil
}

// decodeScalar covers the primitive types and Avro's promotions among them; nil where there is none.
func decodeScalar(from hamba.Type, t reflect.Type) func(*source, unsafe.Pointer) {
	text := from == hamba.String || from == hamba.Bytes
	switch {
	case t.Kind() == reflect.String && text:
		return readString
	case isBytes(t) && text:
		return func(s *source, p unsafe.Pointer) { *(*[]byte)(p) = s.bytes() }
	case t.Kind() == reflect.Int64 && from == hamba.Long:
		return func(s *source, p unsafe.Pointer) { *(*int64)(p) = s.long() }
	case t.Kind() == reflect.Int64 && from == hamba.Int:
		return func(s *source, p unsafe.Pointer) { *(*int64)(p) = int64(s.int()) }
	case t.Kind() == reflect.Int32 && from == hamba.Int:
		return func(s *source, p unsafe.Pointer) { *(*int32)(p) = s.int() }
	case t.Kind() == reflect.Float64 && from == hamba.Double:
		return func(s *source, p unsafe.Pointer) { *(*float64)(p) = s.double() }
	case t.Kind() == reflect.Float64 && from == hamba.Float:
		return func(s *source, p unsafe.Pointer) { *(*float64)(p) = float64(s.float()) }
	case t.Kind() == reflect.Float64 && from == hamba.Long:
		return func(s *source, p unsafe.Pointer) { *(*float64)(p) = float64(s.long()) }
	case t.Kind() == reflect.Float64 && from == hamba.Int:
		return func(s *source, p unsafe.Pointer) { *(*float64)(p) = float64(s.int()) }
	case t.Kind() == reflect.Bool && from == hamba.Boolean:
		return func(s *source, p unsafe.Pointer) { *(*bool)(p) = s.bool() }
	}
	return nil
}

func readString(s *source, p unsafe.Pointer) {
	b := s.bytes()
	*(*string)(p) = unsafe.String(unsafe.SliceData(b), len(b))
}

// decodeSlice reads an array of records, or a map of strings into labels: on the wire both are blocks of items.
func decodeSlice(reader, s hamba.Schema, t reflect.Type) (func(*source, unsafe.Pointer), error) {
	var steps []decodeStep
	switch s := s.(type) {
	case *hamba.MapSchema:
		if !isLabels(t) || s.Values().Type() != hamba.String {
			return nil, fmt.Errorf("no decoding of a map of %s into %v", s.Values().Type(), t)
		}
		steps = []decodeStep{
			{read: readString, offset: unsafe.Offsetof(schemas.Label{}.Name)},
			{read: readString, offset: unsafe.Offsetof(schemas.Label{}.Value)},
		}
	case *hamba.ArraySchema:
		record, ok := s.Items().(*hamba.RecordSchema)
		if !ok {
			return nil, fmt.Errorf("no decoding of an array of %s", s.Items().Type())
		}
		items, ok := reader.(*hamba.ArraySchema).Items().(*hamba.RecordSchema)
		if !ok {
			return nil, fmt.Errorf("no decoding of an array of records into %s", reader.Type())
		}
		var err error
		if steps, err = decodeRecord(items, record, t.Elem()); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("no decoding of %s into %v", s.Type(), t)
	}
	return readItems(steps, t), nil
}

// readItems reads blocks of items into a slice of type t, reusing its memory.
func readItems(steps []decodeStep, t reflect.Type) func(*source, unsafe.Pointer) {
	size := t.Elem().Size()
	return func(s *source, p unsafe.Pointer) {
		slice := reflect.NewAt(t, p).Elem()
		slice.SetLen(0)
		for n := s.block(); n > 0; n = s.block() {
			old := slice.Len()
			slice.Grow(n)
			slice.SetLen(old + n)
			first := slice.UnsafePointer()
			for k := range n {
				item := unsafe.Add(first, uintptr(old+k)*size)
				for i := range steps {
					steps[i].read(s, unsafe.Add(item, steps[i].offset))
				}
			}
			if s.bad {
				return
			}
		}
	}
}

// decodeValue reads a union of primitive types, in whatever order the writer had them.
func decodeValue(s hamba.Schema) (func(*source, unsafe.Pointer), error) {
	union, ok := s.(*hamba.UnionSchema)
	if !ok {
		return nil, fmt.Errorf("no decoding of %s into a value", s.Type())
	}
	branches := make([]hamba.Type, len(union.Types()))
	for i, b := range union.Types() {
		branches[i] = b.Type()
	}
	return func(s *source, p unsafe.Pointer) {
		i := s.long()
		if i < 0 || i >= int64(len(branches)) {
			s.fail()
			return
		}
		*(*schemas.Value)(p) = s.value(branches[i])
	}, nil
}

func (s *source) value(t hamba.Type) schemas.Value {
	switch t {
	case hamba.Double:
		return schemas.DoubleValue(s.double())
	case hamba.Float:
		return schemas.DoubleValue(float64(s.float()))
	case hamba.Long:
		return schemas.IntegerValue(s.long())
	case hamba.Int:
		return schemas.IntegerValue(int64(s.int()))
	case hamba.Boolean:
		return schemas.BooleanValue(s.bool())
	case hamba.String, hamba.Bytes:
		b := s.bytes()
		return schemas.TextValue(unsafe.String(unsafe.SliceData(b), len(b)))
	}
	s.fail()
	return schemas.Value{}
}
