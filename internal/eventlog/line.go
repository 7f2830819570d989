package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// Line is a record as JSON tells it: where it lies, and its event decoded with the schema that wrote it, or the bytes and
// the reason why they are no event.
type Line struct {
	Topic     Topic             `json:"topic"`
	Partition Partition         `json:"partition"`
	Offset    Offset            `json:"offset"`
	Timestamp time.Time         `json:"timestamp"`
	Key       string            `json:"key"`
	Headers   map[string]string `json:"headers,omitempty"`
	Subject   schemas.Subject   `json:"subject,omitempty"`
	SchemaID  int               `json:"schema_id,omitempty"`
	Event     json.RawMessage   `json:"event,omitempty"`
	Reason    schemas.Reason    `json:"reason,omitempty"`
	Detail    string            `json:"detail,omitempty"`
	Value     []byte            `json:"value,omitempty"`
}

// Line returns r as JSON tells it, with its headers if wanted. The error says that the registry could not be asked for the
// schema, so that trying again may help.
func (l *Log) Line(ctx context.Context, r *Record, headers bool) (*Line, error) {
	line := &Line{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(), Key: string(r.Key)}
	if headers {
		line.Headers = make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			line.Headers[h.Key] = string(h.Value)
		}
	}
	ref, err := l.SchemaOf(ctx, r)
	if err == nil {
		line.Subject, line.SchemaID = ref.Subject, ref.ID
		line.Event, err = l.JSON(ctx, r)
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		line.Reason, line.Detail, line.Value = refusal.Reason, refusal.Err.Error(), r.Value
		return line, nil
	}
	return line, err
}

// Keys chooses records by their key, which is client/device, client, or what else the event's kind says. Empty fields match all.
type Keys struct {
	// Key is the whole key, Client the part before the first slash, Device the part after it.
	Key, Client, Device string
}

// Match tells whether a record with this key is chosen.
func (k Keys) Match(key []byte) bool {
	client, device, _ := bytes.Cut(key, []byte("/"))
	return (k.Key == "" || k.Key == string(key)) && (k.Client == "" || k.Client == string(client)) && (k.Device == "" || k.Device == string(device))
}
