package eventlog

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// NewDeadLetter tells of a record that a service cannot handle. It copies what it keeps. The letter's id follows from the service and
// the position, so that a letter told twice has one id. What would make the letter larger than the log takes is cut, and the detail says
// so: the record itself is in its topic.
func (l *Log) NewDeadLetter(service, host string, r *Record, reason schemas.Reason, cause error) *schemas.DeadLetter {
	letter := &schemas.DeadLetter{
		Envelope: schemas.Envelope{
			EventID:      fmt.Sprintf("%s-%s-%d-%d", service, r.TopicID, r.Partition, r.Offset),
			EventTime:    schemas.TimeOf(r.Timestamp),
			ReceivedTime: schemas.TimeOf(time.Now()),
			TraceID:      tracedBy(r.Header("traceparent")),
			Attempt:      int32(len(schemas.Redrives(r.Headers))),
			Origin:       service, Host: host, Publisher: "fieldlog",
		},
		Reason: reason, Detail: strings.ToValidUTF8(head(cause.Error(), keptDetail), "?"),
		Topic: string(r.Topic), TopicID: r.TopicID.String(), Partition: int32(r.Partition), Offset: int64(r.Offset),
		Key: r.Key, Value: r.Value, Headers: r.Headers, Size: int64(len(r.Key) + len(r.Value)),
	}
	if len(r.Key) > KeptKey || sizeOf(letter) > l.cfg.MaxEventBytes {
		cut(letter)
	}
	letter.Key, letter.Value, letter.Headers = bytes.Clone(letter.Key), bytes.Clone(letter.Value), cloneHeaders(letter.Headers)
	return letter
}

// What a letter keeps of a record that is too large with everything around it, in bytes. A key is twice in a letter, which is a record
// with that key.
const (
	KeptKey     = 8 << 10
	KeptValue   = 64 << 10
	keptHeaders = 16 << 10
	keptDetail  = 8 << 10
)

// letterFrame is room for what a letter has beside the record and the detail, headerFrame for the lengths of a header.
const (
	letterFrame = 4 << 10
	headerFrame = 20
)

// sizeOf returns at least the letter's size in bytes when it is encoded.
func sizeOf(l *schemas.DeadLetter) int {
	size := letterFrame + len(l.Detail) + len(l.Key) + len(l.Value)
	for i := range l.Headers {
		size += headerSize(&l.Headers[i])
	}
	return size
}

func headerSize(h *schemas.Header) int { return headerFrame + len(h.Key) + len(h.Value) }

// cut leaves the beginnings of key and value, and of the headers those that tell of redrives, as far as there is room.
func cut(l *schemas.DeadLetter) {
	l.Detail = fmt.Sprintf("%s (key and value cut from %d bytes; headers left out)", l.Detail, l.Size)
	l.Key, l.Value = head(l.Key, KeptKey), head(l.Value, KeptValue)
	var kept []schemas.Header
	room := keptHeaders
	for i := range l.Headers {
		if h := &l.Headers[i]; h.Key == schemas.HeaderRedriven && headerSize(h) <= room {
			kept, room = append(kept, *h), room-headerSize(h)
		}
	}
	l.Headers = kept
}

func head[T ~string | ~[]byte](of T, most int) T { return of[:min(len(of), most)] }

func cloneHeaders(headers []schemas.Header) []schemas.Header {
	cloned := make([]schemas.Header, len(headers))
	for i, h := range headers {
		cloned[i] = schemas.Header{Key: strings.Clone(h.Key), Value: bytes.Clone(h.Value)}
	}
	return cloned
}

// tracedBy returns the trace id in a W3C traceparent ("00-<32 digits>-<16 digits>-01"), empty if it is none.
func tracedBy(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}
