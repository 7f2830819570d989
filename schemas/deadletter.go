package schemas

import "strings"

// DeadLetter keeps a record that could not be handled: its bytes, its position and the reason.
type DeadLetter struct {
	Envelope
	// Reason is one of Reasons.
	Reason Reason `avro:"reason"`
	// Detail is the error in words.
	Detail string `avro:"detail"`
	// Topic, TopicID, Partition and Offset are the record's position; Topic is empty and the numbers are -1 when it was
	// refused before it had one.
	Topic     string `avro:"topic"`
	TopicID   string `avro:"topic_id"`
	Partition int32  `avro:"partition"`
	Offset    int64  `avro:"offset"`
	// Key, Value and Headers are the record's own, unchanged. Of a record that is too large for a letter, Key and Value are the
	// beginnings, and Headers are those that tell of redrives.
	Key     []byte   `avro:"key"`
	Value   []byte   `avro:"value"`
	Headers []Header `avro:"headers"`
	// Size is the length of the record's key and value together; -1 in letters that are older than the field.
	Size int64 `avro:"size"`
}

// Cut tells whether the letter holds only the beginning of the record.
func (d *DeadLetter) Cut() bool {
	if d.Size < 0 {
		return strings.HasSuffix(d.Detail, "; headers left out)") // how it was told before there was a size
	}
	return d.Size > int64(len(d.Key)+len(d.Value))
}

// Header is a header of a record.
type Header struct {
	Key   string `avro:"key"`
	Value []byte `avro:"value"`
}

// Kind implements Event.
func (*DeadLetter) Kind() Kind { return KindDeadLetter }

// AppendKey implements Event: the record's own key, so that the letters of a key keep their order.
func (d *DeadLetter) AppendKey(dst []byte) []byte { return append(dst, d.Key...) }

// Reason says why a record became a dead letter. The list is closed: every reason has a metric and a page.
type Reason string

// The reasons.
const (
	// ReasonNotOurs: the value is not in the Confluent wire format.
	ReasonNotOurs Reason = "not_ours"
	// ReasonUnknownSchema: the registry does not know the schema id.
	ReasonUnknownSchema Reason = "unknown_schema"
	// ReasonWrongEvent: a valid event of a kind that does not belong on the topic.
	ReasonWrongEvent Reason = "wrong_event"
	// ReasonUndecodable: the bytes do not decode with the schema they name.
	ReasonUndecodable Reason = "undecodable"
	// ReasonInvalid: it decodes, but breaks a rule of the event (no reading, empty name).
	ReasonInvalid Reason = "invalid"
)

// Reasons lists every reason.
func Reasons() []Reason {
	return []Reason{ReasonNotOurs, ReasonUnknownSchema, ReasonWrongEvent, ReasonUndecodable, ReasonInvalid}
}
