// Package schemas is the vocabulary of Fieldlog: the Avro schema of every event, the Go type of every
// event, and the words they share. It imports nothing of ours and does no I/O.
//
// Promises:
//
//   - A released schema file is never edited. A change is a new file (v2.avsc) in the same folder, compatible in
//     both directions with every earlier one (FULL_TRANSITIVE). Tests refuse anything else.
//   - One stored payload of every version lies in testdata and decodes with the newest Go type.
//   - The Go types have one field for each Avro field, named by the `avro` tag.
//
// A subject is the full name of an Avro record (Confluent's RecordNameStrategy), so that one topic can carry
// several kinds of event.
package schemas

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed avro
var files embed.FS

// Subject names a kind of event in the schema registry: the full name of its Avro record.
type Subject string

// Kind ties together all that is known about a kind of event.
type Kind struct {
	// Fact is the event's name and the folder of its schemas: "telemetry.reported".
	Fact string
	// Subject is the name it is registered under.
	Subject Subject
	// Topic is the name, without prefix, of the topic it is appended to.
	Topic string
	// Open tells that whoever may send telemetry may append it from outside. Every other kind is a fact that only the service
	// which decides it may tell.
	Open bool
}

// Namespace starts the subject of every kind, and of no event that is not ours.
const Namespace = "dev.fieldlog."

// The kinds of event.
var (
	KindTelemetryReported = Kind{Fact: "telemetry.reported", Subject: "dev.fieldlog.TelemetryReported", Topic: "telemetry", Open: true}

	KindOrderPlaced          = Kind{Fact: "order.placed", Subject: "dev.fieldlog.OrderPlaced", Topic: "orders"}
	KindOrderChangeRequested = Kind{Fact: "order.change.requested", Subject: "dev.fieldlog.OrderChangeRequested", Topic: "orders"}
	KindOrderCancelRequested = Kind{Fact: "order.cancel.requested", Subject: "dev.fieldlog.OrderCancelRequested", Topic: "orders"}

	KindClientRegistered = Kind{Fact: "client.registered", Subject: "dev.fieldlog.ClientRegistered", Topic: "clients"}
	KindOrderAccepted    = Kind{Fact: "order.accepted", Subject: "dev.fieldlog.OrderAccepted", Topic: "clients"}
	KindOrderChanged     = Kind{Fact: "order.changed", Subject: "dev.fieldlog.OrderChanged", Topic: "clients"}
	KindOrderCancelled   = Kind{Fact: "order.cancelled", Subject: "dev.fieldlog.OrderCancelled", Topic: "clients"}
	KindOrderRejected    = Kind{Fact: "order.rejected", Subject: "dev.fieldlog.OrderRejected", Topic: "clients"}

	KindProvisioningProgressed = Kind{Fact: "provisioning.progressed", Subject: "dev.fieldlog.ProvisioningProgressed", Topic: "provisioning"}
	KindProvisioningIntervened = Kind{Fact: "provisioning.intervened", Subject: "dev.fieldlog.ProvisioningIntervened", Topic: "provisioning"}
	KindEffectRecorded         = Kind{Fact: "effect.recorded", Subject: "dev.fieldlog.EffectRecorded", Topic: "effects"}
	KindNotificationRaised     = Kind{Fact: "notification.raised", Subject: "dev.fieldlog.NotificationRaised", Topic: "notifications"}
	KindClientState            = Kind{Fact: "client.state", Subject: "dev.fieldlog.ClientState", Topic: "client-state"}

	KindDeadLetter          = Kind{Fact: "deadletter", Subject: "dev.fieldlog.DeadLetter", Topic: "deadletters"}
	KindDeadLetterRedriven  = Kind{Fact: "deadletter.redriven", Subject: "dev.fieldlog.DeadLetterRedriven", Topic: "deadletters"}
	KindDeadLetterDiscarded = Kind{Fact: "deadletter.discarded", Subject: "dev.fieldlog.DeadLetterDiscarded", Topic: "deadletters"}

	KindReceiptsCounted = Kind{Fact: "receipts.counted", Subject: "dev.fieldlog.ReceiptsCounted", Topic: "receipts"}
)

// Kinds lists every kind of event, in the order of the flow.
func Kinds() []Kind {
	return []Kind{
		KindTelemetryReported,
		KindOrderPlaced, KindOrderChangeRequested, KindOrderCancelRequested,
		KindClientRegistered, KindOrderAccepted, KindOrderChanged, KindOrderCancelled, KindOrderRejected,
		KindProvisioningProgressed, KindProvisioningIntervened, KindEffectRecorded, KindNotificationRaised, KindClientState,
		KindDeadLetter, KindDeadLetterRedriven, KindDeadLetterDiscarded,
		KindReceiptsCounted,
	}
}

// Version is one released version of a kind's schema.
type Version struct {
	// Number counts from 1.
	Number int
	// Text is the Avro schema in JSON.
	Text string
}

// Versions returns every version of a kind's schema, oldest first. The last one is what today's code writes.
func (k Kind) Versions() ([]Version, error) {
	dir := path.Join("avro", k.Fact)
	entries, err := files.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read schemas of %q: %w", k.Fact, err)
	}
	versions := make([]Version, 0, len(entries))
	for _, e := range entries {
		number, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(e.Name(), "v"), ".avsc"))
		if err != nil {
			return nil, fmt.Errorf("read schemas of %q: file %q is not named v<number>.avsc", k.Fact, e.Name())
		}
		text, err := files.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read schemas of %q: %w", k.Fact, err)
		}
		versions = append(versions, Version{Number: number, Text: string(text)})
	}
	slices.SortFunc(versions, func(a, b Version) int { return a.Number - b.Number })
	return versions, nil
}
