// Package avro turns events into Avro binary and back, for package eventlog alone.
//
// Two paths, one meaning:
//
//   - [Encoder] and [Decoder] are compiled once from a schema and a Go struct into a flat list of steps. They allocate
//     nothing in the steady state; a decoded string or byte slice points into the source.
//   - [ToJSON] and [FromJSON] follow a schema of any shape, value by value, for events that have no Go type here.
//
// The library hamba/avro parses schemas and compares them; tests hold both paths against its own encoding.
//
// A Decoder is compiled from the schema that wrote the bytes: fields the Go type does not know are skipped, fields the
// writer did not know get the default of today's schema (Avro 1.11 specification, "Schema Resolution").
//
// Struct fields are matched by their `avro` tag; embedded structs are flattened. Supported Go types are string, []byte,
// int32, int64, float64, bool (and types made of them), schemas.Value for the union of the four value types,
// slices of structs for arrays of records, and []schemas.Label for maps of strings.
package avro

import (
	"errors"
	"fmt"

	hamba "github.com/hamba/avro/v2"
)

// ErrCorrupt says that bytes are not what their schema says: truncated, overlong, or with bytes left over.
var ErrCorrupt = errors.New("bytes do not match their schema")

// Schema is a parsed Avro record schema.
type Schema struct {
	record *hamba.RecordSchema
}

// Parse parses the JSON text of a record schema. Names in it do not leak into other schemas.
func Parse(text string) (*Schema, error) {
	parsed, err := hamba.ParseWithCache(text, "", &hamba.SchemaCache{})
	if err != nil {
		return nil, fmt.Errorf("parse avro schema: %w", err)
	}
	record, ok := parsed.(*hamba.RecordSchema)
	if !ok {
		return nil, fmt.Errorf("parse avro schema: it is a %s, not a record", parsed.Type())
	}
	return &Schema{record: record}, nil
}

// Name returns the record's full name.
func (s *Schema) Name() string { return s.record.FullName() }

// Check returns an error that names the first difference which keeps reader from reading what writer wrote.
func Check(reader, writer *Schema) error {
	if err := hamba.NewSchemaCompatibility().Compatible(reader.record, writer.record); err != nil {
		return fmt.Errorf("schema %q cannot read what its other version wrote: %w", reader.Name(), err)
	}
	return nil
}
