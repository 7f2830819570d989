package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog/avro"
	"github.com/fieldlog/fieldlog/schemas"
)

// Record is one record of the log.
type Record struct {
	Position
	// TopicID tells a recreated topic apart.
	TopicID TopicID
	// Timestamp is when the producer sent it.
	Timestamp time.Time
	// Key decides the partition.
	Key []byte
	// Value is in the Confluent wire format if it is ours.
	Value []byte
	// Headers are the record's headers in order.
	Headers []schemas.Header
}

// Header returns the value of the first header of that name, or "".
func (r *Record) Header(name string) string {
	for i := range r.Headers {
		if r.Headers[i].Key == name {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// fill makes r a view of k.
func (r *Record) fill(topic Topic, id TopicID, k *kgo.Record) {
	r.Position = Position{Topic: topic, Partition: Partition(k.Partition), Offset: Offset(k.Offset)}
	r.TopicID = id
	r.Timestamp = k.Timestamp
	r.Key, r.Value = k.Key, k.Value
	r.Headers = r.Headers[:0]
	for i := range k.Headers {
		r.Headers = append(r.Headers, schemas.Header{Key: k.Headers[i].Key, Value: k.Headers[i].Value})
	}
}

// SchemaRef names the schema that wrote a record.
type SchemaRef struct {
	// ID is the registry's.
	ID int
	// Subject is the full name of the record it describes.
	Subject schemas.Subject
}

// SchemaOf returns the schema that wrote r. A *Refusal says that r is not ours.
func (l *Log) SchemaOf(ctx context.Context, r *Record) (SchemaRef, error) {
	id, schema, err := l.writerOf(ctx, r)
	if err != nil {
		return SchemaRef{}, err
	}
	return SchemaRef{ID: id, Subject: schemas.Subject(schema.Name())}, nil
}

// JSON returns the decoded value as a JSON object, with the schema that wrote it. A *Refusal says that r is not ours.
func (l *Log) JSON(ctx context.Context, r *Record) ([]byte, error) {
	_, schema, err := l.writerOf(ctx, r)
	if err != nil {
		return nil, err
	}
	text, err := avro.ToJSON(schema, r.Value[wireHeader:])
	if err != nil {
		return nil, &Refusal{schemas.ReasonUndecodable, err}
	}
	return text, nil
}

func (l *Log) writerOf(ctx context.Context, r *Record) (int, *avro.Schema, error) {
	id, err := schemaID(r.Value)
	if err != nil {
		return 0, nil, err
	}
	schema, err := l.codecs.schema(ctx, id)
	return id, schema, err
}

// EventFromJSON makes an event of a kind from a JSON object with the schema's field names. It is strict: unknown fields,
// missing fields and values that do not fit are errors that name the field.
func (l *Log) EventFromJSON(kind schemas.Kind, text []byte) (schemas.Event, error) {
	codec, known := l.codecs.kinds[kind.Subject]
	if !known {
		return nil, fmt.Errorf("read event: unknown kind %q", kind.Fact)
	}
	data, err := avro.FromJSON(codec.today, text)
	if err != nil {
		return nil, err
	}
	read, err := codec.reader(codec.today)
	if err != nil {
		return nil, err
	}
	return read(data)
}

// Decoder reads events of type E from records. It belongs to one goroutine.
type Decoder[E any] struct {
	log     *Log
	codec   *kindCodec
	id      int // of the schema that last was used, which the next record most likely names too
	decoder *avro.Decoder[E]
	known   map[int]*avro.Decoder[E]
}

// NewDecoder returns a decoder for the events of a kind, whose Go type is E.
func NewDecoder[E any](l *Log, kind schemas.Kind) *Decoder[E] {
	return &Decoder[E]{log: l, codec: l.codecs.kinds[kind.Subject], id: -1, known: map[int]*avro.Decoder[E]{}}
}

// Decode reads r into event, whose memory it uses again; strings and bytes point into r.Value. A *Refusal says that r is bad
// and why; any other error that the registry could not be asked, so that trying again may help.
func (d *Decoder[E]) Decode(ctx context.Context, r *Record, event *E) error {
	id, err := schemaID(r.Value)
	if err != nil {
		return err
	}
	if id != d.id {
		if err := d.use(ctx, id); err != nil {
			return err
		}
	}
	if err := d.decoder.Decode(r.Value[wireHeader:], event); err != nil {
		return &Refusal{schemas.ReasonUndecodable, err}
	}
	return nil
}

func (d *Decoder[E]) use(ctx context.Context, id int) error {
	if d.known[id] == nil {
		schema, err := d.log.codecs.schema(ctx, id)
		if err != nil {
			return err
		}
		if schema.Name() != d.codec.today.Name() {
			return &Refusal{schemas.ReasonWrongEvent, fmt.Errorf("the value is a %q, not a %q", schema.Name(), d.codec.today.Name())}
		}
		decoder, err := avro.NewDecoder[E](d.codec.today, schema)
		if err != nil {
			return &Refusal{schemas.ReasonUndecodable, err}
		}
		d.known[id] = decoder
	}
	d.id, d.decoder = id, d.known[id]
	return nil
}
