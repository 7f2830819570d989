package schemas

import "time"

// Event is a fact that can be appended to the log. Every event type of this package is one.
type Event interface {
	// Kind tells which kind of event it is.
	Kind() Kind
	// Head returns the part that every event has. It points into the event.
	Head() *Envelope
	// AppendKey appends the key that decides the event's partition. Events of one key keep their order.
	AppendKey(dst []byte) []byte
}

// Time is an instant in microseconds since the Unix epoch, UTC (Avro's timestamp-micros).
type Time int64

// TimeOf cuts t to microseconds.
func TimeOf(t time.Time) Time { return Time(t.UnixMicro()) }

// Time returns the instant as a time.Time in UTC.
func (t Time) Time() time.Time { return time.UnixMicro(int64(t)).UTC() }

// Envelope is what every event carries.
type Envelope struct {
	// EventID is unique: the sender's own id, or a UUIDv7.
	EventID string `avro:"event_id"`
	// EventType is company.app.messageType.client.action.
	EventType string `avro:"event_type"`
	// EventTime is when it happened, by the clock of the one who tells it.
	EventTime Time `avro:"event_time"`
	// ReceivedTime is when the log's first service accepted it, by that service's clock.
	ReceivedTime Time `avro:"received_time"`
	// TraceID is a W3C trace id (32 hexadecimal digits) or the sender's own id.
	TraceID string `avro:"trace_id"`
	// Attempt counts the tries before this one.
	Attempt int32 `avro:"attempt"`
	// Origin, Host and Publisher tell where it came from: the way in, the machine, the program.
	Origin    string `avro:"origin"`
	Host      string `avro:"host"`
	Publisher string `avro:"publisher"`
}

// Head implements Event.
func (e *Envelope) Head() *Envelope { return e }
