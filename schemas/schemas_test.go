package schemas_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog/avro"
	"github.com/fieldlog/fieldlog/schemas"
)

// golden holds, per kind, how today's type reads a stored payload; the text of the newest version must not change,
// and that of an old one only by the defaults of what it did not have.
func readers(t *testing.T) map[string]func(writer, today *avro.Schema, data []byte) (string, error) {
	t.Helper()
	return map[string]func(writer, today *avro.Schema, data []byte) (string, error){
		schemas.KindTelemetryReported.Fact:      read[schemas.TelemetryReported],
		schemas.KindOrderPlaced.Fact:            read[schemas.OrderPlaced],
		schemas.KindOrderChangeRequested.Fact:   read[schemas.OrderChangeRequested],
		schemas.KindOrderCancelRequested.Fact:   read[schemas.OrderCancelRequested],
		schemas.KindClientRegistered.Fact:       read[schemas.ClientRegistered],
		schemas.KindOrderAccepted.Fact:          read[schemas.OrderAccepted],
		schemas.KindOrderChanged.Fact:           read[schemas.OrderChanged],
		schemas.KindOrderCancelled.Fact:         read[schemas.OrderCancelled],
		schemas.KindOrderRejected.Fact:          read[schemas.OrderRejected],
		schemas.KindProvisioningProgressed.Fact: read[schemas.ProvisioningProgressed],
		schemas.KindProvisioningIntervened.Fact: read[schemas.ProvisioningIntervened],
		schemas.KindEffectRecorded.Fact:         read[schemas.EffectRecorded],
		schemas.KindNotificationRaised.Fact:     read[schemas.NotificationRaised],
		schemas.KindClientState.Fact:            read[schemas.ClientState],
		schemas.KindDeadLetter.Fact:             read[schemas.DeadLetter],
		schemas.KindDeadLetterRedriven.Fact:     read[schemas.DeadLetterRedriven],
		schemas.KindDeadLetterDiscarded.Fact:    read[schemas.DeadLetterDiscarded],
		schemas.KindReceiptsCounted.Fact:        read[schemas.ReceiptsCounted],
	}
}

func read[E any](writer, today *avro.Schema, data []byte) (string, error) {
	decoder, err := avro.NewDecoder[E](today, writer)
	if err != nil {
		return "", err
	}
	var event E
	if err := decoder.Decode(data, &event); err != nil {
		return "", err
	}
	encoder, err := avro.NewEncoder[E](today) // refuses a schema field that the Go type lacks
	if err != nil {
		return "", err
	}
	if again := encoder.Append(nil, &event); writer == today && !bytes.Equal(again, data) {
		return "", fmt.Errorf("written again it is %x, not %x", again, data)
	}
	return fmt.Sprintf("%+v", event), nil
}

func parse(t *testing.T, kind schemas.Kind) []*avro.Schema {
	t.Helper()
	versions, err := kind.Versions()
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*avro.Schema
	for i, v := range versions {
		if v.Number != i+1 {
			t.Fatalf("%s: version %d stands at place %d", kind.Fact, v.Number, i+1)
		}
		s, err := avro.Parse(v.Text)
		if err != nil {
			t.Fatalf("%s v%d: %v", kind.Fact, v.Number, err)
		}
		if s.Name() != string(kind.Subject) {
			t.Errorf("%s v%d: its record is %q, want %q", kind.Fact, v.Number, s.Name(), kind.Subject)
		}
		parsed = append(parsed, s)
	}
	return parsed
}

// TestEveryStoredPayloadIsReadToday decodes one payload of every version ever released with today's Go type.
func TestEveryStoredPayloadIsReadToday(t *testing.T) {
	for _, kind := range schemas.Kinds() {
		versions := parse(t, kind)
		today := versions[len(versions)-1]
		for i, writer := range versions {
			base := filepath.Join("testdata", fmt.Sprintf("%s.v%d", kind.Fact, i+1))
			data, err := os.ReadFile(base + ".avro")
			if err != nil {
				t.Errorf("a payload of every version must be stored: %v", err)
				continue
			}
			want, err := os.ReadFile(base + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			got, err := readers(t)[kind.Fact](writer, today, data)
			if err != nil {
				t.Errorf("read %s: %v", base, err)
			}
			if got != string(want) {
				t.Errorf("read %s:\ngot  %s\nwant %s", base, got, want)
			}
		}
	}
}

// TestEveryVersionReadsEveryOther is FULL_TRANSITIVE compatibility, asked before any registry is.
func TestEveryVersionReadsEveryOther(t *testing.T) {
	for _, kind := range schemas.Kinds() {
		versions := parse(t, kind)
		for i, a := range versions {
			for j, b := range versions {
				if err := avro.Check(a, b); err != nil {
					t.Errorf("%s: v%d cannot read what v%d wrote: %v", kind.Fact, i+1, j+1, err)
				}
			}
		}
	}
}

// TestAnIncompatibleChangeIsRefused shows that the check above can fail.
func TestAnIncompatibleChangeIsRefused(t *testing.T) {
	f := func(name, fields string) {
		t.Helper()
		today := parse(t, schemas.KindDeadLetter)[0]
		changed, err := avro.Parse(`{"type":"record","name":"DeadLetter","namespace":"dev.fieldlog","fields":[` + fields + `]}`)
		if err != nil {
			t.Fatal(err)
		}
		if avro.Check(today, changed) == nil && avro.Check(changed, today) == nil {
			t.Errorf("%s passed", name)
		}
	}
	f("a required field that went away", `{"name":"event_id","type":"string"}`)
	f("a field that changed its type", `{"name":"event_id","type":"long"}`)
	f("a new field without a default", `{"name":"colour","type":"string"}`)
}
