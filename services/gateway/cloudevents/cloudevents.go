// Package cloudevents reads CloudEvents 1.0 as its HTTP protocol binding carries them: binary (attributes in headers, data in
// the body), structured (one JSON object) and batch (an array of them), and JSON lines of structured events besides.
//
// It checks what the specification says of attributes: the required ones are there, names are lower-case letters and
// digits, values are of CloudEvents' types, times are RFC 3339. JSON is read strictly (RFC 7493): names that stand twice and
// invalid UTF-8 are refused. Data must be JSON; what it says is for others to check. Counts and sizes are bounded.
//
// An [Event] points into the body it was read from.
package cloudevents

import (
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// Limits bound one event's attributes.
type Limits struct {
	// Name bounds an attribute's name, Value its value, in bytes of UTF-8.
	Name, Value int
	// Attributes bounds how many there are, Total the bytes of all their names and values.
	Attributes, Total int
}

// Event is one CloudEvent with JSON data.
type Event struct {
	// ID, Source and Type are the required attributes.
	ID, Source, Type string
	// Subject, DataSchema and PartitionKey are empty when not given. PartitionKey is the partitioning extension's.
	Subject, DataSchema, PartitionKey string
	// Time is zero when not given.
	Time time.Time
	// Attributes are all but id, source, type, time, specversion and datacontenttype, with their values as texts, in the order
	// given: subject, dataschema and partitionkey among them.
	Attributes []schemas.Label
	// Data is the JSON value, nil when not given.
	Data []byte
}

// Refusal says why an event is refused.
type Refusal struct {
	// Field is the attribute to blame, or data; empty where none is.
	Field string
	// Reason says what is wrong with it.
	Reason string
	// Broken says that the text cannot be read further from there.
	Broken bool
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return r.Reason
	}
	return r.Field + ": " + r.Reason
}

func refuse(field, format string, args ...any) *Refusal {
	return &Refusal{Field: field, Reason: fmt.Sprintf(format, args...)}
}
