package eventlog

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog/avro"
	"github.com/fieldlog/fieldlog/schemas"
)

// Misfit says where an event's JSON does not fit its schema, and why.
type Misfit = avro.Misfit

// JSONEvent is an event that has no Go type here: the registry knows its schema, its data is JSON.
type JSONEvent struct {
	// Topic is the declared topic it is appended to, Key decides the partition.
	Topic Topic
	Key   string
	// Subject is the full name of its Avro record, Version the schema to encode it with.
	Subject schemas.Subject
	Version Version
	// ID and Source are who it is: the sender may append it again under the same ID and Key. Time is when it happened; a zero Time is not told.
	ID, Source string
	Time       time.Time
	// Data is a JSON object with exactly the schema's fields; those with a default may be left out.
	Data []byte
}

// AddJSON encodes an event with a schema that was registered beforehand. The error is a *Misfit where the data does not fit,
// wraps ErrNotRegistered where there is no such schema and ErrTooLarge where it is too large; any other says that the
// registry could not be asked. The batch is then as it was.
func (b *Batch) AddJSON(ctx context.Context, e *JSONEvent) error {
	id, data, err := b.log.encodeJSON(ctx, e)
	if err != nil {
		return err
	}
	start := len(b.arena)
	b.arena = append(binary.BigEndian.AppendUint32(append(b.arena, 0), uint32(id)), data...)
	value, err := b.value(start, string(e.Subject))
	if err != nil {
		return err
	}
	b.entries = append(b.entries, entry{
		topic: e.Topic,
		record: kgo.Record{
			Topic: b.log.topicNames[e.Topic], Key: b.text(e.Key), Value: value,
			Headers: b.describe(identity{id: e.ID, kind: e.Subject, source: e.Source, time: e.Time, own: true}),
		},
	})
	return nil
}

// encodeJSON encodes with the newest schema, and once more where a newer one has come since it was last asked for.
func (l *Log) encodeJSON(ctx context.Context, e *JSONEvent) (int, []byte, error) {
	id, schema, err := l.subjects.find(ctx, e.Subject, e.Version, false)
	if err != nil {
		return 0, nil, err
	}
	data, err := avro.FromJSON(schema, e.Data)
	var wrong *Misfit
	if !errors.As(err, &wrong) || e.Version != (Version{}) {
		return id, data, err
	}
	newer, schema, again := l.subjects.find(ctx, e.Subject, e.Version, true)
	if again != nil || newer == id {
		return id, data, err
	}
	data, err = avro.FromJSON(schema, e.Data)
	return newer, data, err
}

// HasVersion tells whether a subject has the version of a schema. The error wraps ErrNotRegistered, or says that the
// registry could not be asked.
func (l *Log) HasVersion(ctx context.Context, subject schemas.Subject, v Version) error {
	_, _, err := l.subjects.find(ctx, subject, v, false)
	return err
}
