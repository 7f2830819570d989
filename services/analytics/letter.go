package analytics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

const service = "analytics"

// letter tells of a record that cannot be stored. It copies what it keeps.
func (s *sink) letter(r *eventlog.Record, reason schemas.Reason, cause error) schemas.DeadLetter {
	return schemas.DeadLetter{
		Envelope: schemas.Envelope{
			EventID:      fmt.Sprintf("%s-%s-%d-%d", service, r.TopicID, r.Partition, r.Offset),
			EventTime:    schemas.TimeOf(r.Timestamp),
			ReceivedTime: schemas.TimeOf(time.Now()),
			TraceID:      traceID(r.Header("traceparent")),
			Attempt:      int32(len(schemas.Redrives(r.Headers))),
			Origin:       service,
			Host:         s.host,
			Publisher:    "fieldlog",
		},
		Reason:    reason,
		Detail:    strings.ToValidUTF8(cause.Error(), "?"),
		Topic:     string(r.Topic),
		TopicID:   r.TopicID.String(),
		Partition: int32(r.Partition),
		Offset:    int64(r.Offset),
		Key:       bytes.Clone(r.Key),
		Value:     bytes.Clone(r.Value),
		Headers:   cloneHeaders(r.Headers),
		Size:      int64(len(r.Key) + len(r.Value)),
	}
}

func cloneHeaders(headers []schemas.Header) []schemas.Header {
	cloned := make([]schemas.Header, len(headers))
	for i, h := range headers {
		cloned[i] = schemas.Header{Key: strings.Clone(h.Key), Value: bytes.Clone(h.Value)}
	}
	return cloned
}

// traceID returns the trace id in a W3C traceparent ("00-<32 digits>-<16 digits>-01"), empty if it is none.
func traceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}

// bury adds a letter to the block.
func (b *block) bury(l schemas.DeadLetter) {
	b.letters = append(b.letters, l)
	b.kept += len(l.Key) + len(l.Value) + len(l.Detail) + letterBytes
}

const letterBytes = 500 // of a letter beside its key, value and detail, roughly

// send appends the letters that are not in the log yet and returns them as far as they still are not.
func (s *sink) send(ctx context.Context, letters []schemas.DeadLetter) ([]schemas.DeadLetter, error) {
	batch := s.log.NewBatch()
	defer batch.Release()
	for i := range letters {
		if err := s.put(batch, &letters[i]); err != nil {
			return letters, fmt.Errorf("bury %s/%d@%d: %w", letters[i].Topic, letters[i].Partition, letters[i].Offset, err)
		}
	}
	var failed error
	var left []schemas.DeadLetter
	for i, result := range batch.Commit(ctx) {
		if result.Err != nil {
			left, failed = append(left, letters[i]), result.Err
			continue
		}
		s.metrics.letters.WithLabelValues(string(letters[i].Reason)).Inc()
	}
	return left, failed
}

// What a letter keeps of a record that is too large with everything around it: the record is in its topic. A key is twice in
// a letter, which is a record with that key.
const (
	keptKey   = 8 << 10
	keptValue = 64 << 10
)

func (s *sink) put(batch *eventlog.Batch, l *schemas.DeadLetter) error {
	if len(l.Key) <= keptKey {
		if err := batch.Add(l); !errors.Is(err, eventlog.ErrTooLarge) {
			return err
		}
	}
	l.Detail = fmt.Sprintf("%s (key and value cut from %d bytes; headers left out)", l.Detail, l.Size)
	l.Key, l.Value = l.Key[:min(len(l.Key), keptKey)], l.Value[:min(len(l.Value), keptValue)]
	l.Headers = slices.DeleteFunc(l.Headers, func(h schemas.Header) bool { return h.Key != schemas.HeaderRedriven })
	return batch.Add(l)
}
