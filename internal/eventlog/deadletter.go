package eventlog

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// NewDeadLetter tells of a record that a service cannot handle. It copies what it keeps. The letter's id follows from the service and
// the position, so that a letter told twice has one id. A value that would make the letter too large is cut to 64 KiB, without
// headers, and the detail says so: the record itself is in its topic.
func (l *Log) NewDeadLetter(service, host string, r *Record, reason schemas.Reason, cause error) *schemas.DeadLetter {
	letter := &schemas.DeadLetter{
		Envelope: schemas.Envelope{
			EventID:      fmt.Sprintf("%s-%s-%d-%d", service, r.TopicID, r.Partition, r.Offset),
			EventTime:    schemas.TimeOf(r.Timestamp),
			ReceivedTime: schemas.TimeOf(time.Now()),
			TraceID:      tracedBy(r.Header("traceparent")),
			Origin:       service, Host: host, Publisher: "fieldlog",
		},
		Reason: reason, Detail: strings.ToValidUTF8(cause.Error(), "?"),
		Topic: string(r.Topic), TopicID: r.TopicID.String(), Partition: int32(r.Partition), Offset: int64(r.Offset),
		Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value),
	}
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Key) + len(h.Value)
		letter.Headers = append(letter.Headers, schemas.Header{Key: strings.Clone(h.Key), Value: bytes.Clone(h.Value)})
	}
	if size > l.cfg.MaxEventBytes-batchOverhead {
		letter.Detail = fmt.Sprintf("%s (value cut from %d bytes; headers left out)", letter.Detail, len(letter.Value))
		letter.Value, letter.Headers = letter.Value[:min(len(letter.Value), keptValue)], nil
	}
	return letter
}

const keptValue = 64 << 10

// tracedBy returns the trace id in a W3C traceparent ("00-<32 digits>-<16 digits>-01"), empty if it is none.
func tracedBy(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) < 4 || len(parts[1]) != 32 {
		return ""
	}
	return parts[1]
}
