package avro

import (
	"unsafe"

	hamba "github.com/hamba/avro/v2"
)

// skip returns a step that reads past a field which today's type does not have.
func skip(s hamba.Schema) func(*source, unsafe.Pointer) {
	return func(src *source, _ unsafe.Pointer) { src.skip(s) }
}

func (s *source) skip(schema hamba.Schema) {
	if s.depth++; s.depth > maxDepth {
		s.fail()
	}
	defer func() { s.depth-- }()
	if s.bad {
		return
	}
	switch schema := schema.(type) {
	case *hamba.RecordSchema:
		for _, f := range schema.Fields() {
			s.skip(f.Type())
		}
	case *hamba.ArraySchema:
		s.skipItems(nil, schema.Items())
	case *hamba.MapSchema:
		s.skipItems(schema, schema.Values())
	case *hamba.UnionSchema:
		i := s.long()
		if i < 0 || i >= int64(len(schema.Types())) {
			s.fail()
			return
		}
		s.skip(schema.Types()[i])
	case *hamba.RefSchema:
		s.skip(schema.Schema())
	case *hamba.FixedSchema:
		s.fixed(schema.Size())
	default:
		s.skipPrimitive(schema.Type())
	}
}

// skipItems reads past the blocks of an array, or of a map when keyed is not nil.
func (s *source) skipItems(keyed *hamba.MapSchema, item hamba.Schema) {
	for n := s.block(); n > 0 && !s.bad; n = s.block() {
		for range n {
			if keyed != nil {
				s.bytes()
			}
			s.skip(item)
		}
	}
}

func (s *source) skipPrimitive(t hamba.Type) {
	switch t {
	case hamba.String, hamba.Bytes:
		s.bytes()
	case hamba.Long:
		s.long()
	case hamba.Int, hamba.Enum:
		s.int()
	case hamba.Double:
		s.fixed(8)
	case hamba.Float:
		s.fixed(4)
	case hamba.Boolean:
		s.fixed(1)
	case hamba.Null:
	default:
		s.fail()
	}
}
