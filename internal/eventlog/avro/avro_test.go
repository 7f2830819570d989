package avro

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"

	"github.com/fieldlog/fieldlog/schemas"
)

func telemetrySchema(t testing.TB) *Schema {
	t.Helper()
	versions, err := schemas.KindTelemetryReported.Versions()
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(versions[len(versions)-1].Text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sample(readings int) *schemas.TelemetryReported {
	e := &schemas.TelemetryReported{
		Envelope: schemas.Envelope{
			EventID: "0190b1f2-3c4d-7e5f-8a6b-9c0d1e2f3a4b", EventType: "fieldlog.portal.telemetry.cliente02.reported",
			EventTime: 1_780_000_000_123_456, ReceivedTime: 1_780_000_000_223_456, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736",
			Attempt: 2, Origin: "http", Host: "edge-1", Publisher: "sdk",
		},
		Client: "cliente02", Device: "pump-7",
		Labels: []schemas.Label{{Name: "site", Value: "north"}, {Name: "line", Value: "3"}},
	}
	values := []schemas.Value{
		schemas.DoubleValue(21.5), schemas.IntegerValue(math.MinInt64), schemas.BooleanValue(true), schemas.TextValue("ok"),
		schemas.DoubleValue(math.Inf(-1)), schemas.IntegerValue(math.MaxInt64), schemas.BooleanValue(false), schemas.TextValue(""),
	}
	for i := range readings {
		e.Readings = append(e.Readings, schemas.Reading{Metric: "temperature", Time: e.EventTime + schemas.Time(i), Value: values[i%len(values)], Unit: "C"})
	}
	return e
}

func TestDecodingGivesBackWhatWasEncoded(t *testing.T) {
	s := telemetrySchema(t)
	encoder, err := NewEncoder[schemas.TelemetryReported](s)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := NewDecoder[schemas.TelemetryReported](s, s)
	if err != nil {
		t.Fatal(err)
	}
	var got schemas.TelemetryReported
	for _, n := range []int{0, 1, 8, 100, 3} { // shrinking too: memory is used again
		want := sample(n)
		data := encoder.Append(nil, want)
		if err := decoder.Decode(data, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Readings) != n || n > 0 && !reflect.DeepEqual(got.Readings, want.Readings) || !reflect.DeepEqual(got.Labels, want.Labels) || got.Envelope != want.Envelope {
			t.Errorf("with %d readings got %+v, want %+v", n, got, *want)
		}
	}
}

// TestTheGeneralLibraryAgrees encodes with ours and decodes with hamba/avro, and the other way round.
func TestTheGeneralLibraryAgrees(t *testing.T) {
	s := telemetrySchema(t)
	encoder, err := NewEncoder[schemas.TelemetryReported](s)
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := NewDecoder[schemas.TelemetryReported](s, s)
	if err != nil {
		t.Fatal(err)
	}
	ours := encoder.Append(nil, sample(8))
	var event map[string]any
	if err := hamba.Unmarshal(s.record, ours, &event); err != nil {
		t.Fatal(err)
	}
	theirs, err := hamba.Marshal(s.record, event)
	if err != nil {
		t.Fatal(err)
	}
	var got schemas.TelemetryReported
	if err := decoder.Decode(theirs, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Readings, sample(8).Readings) || got.Envelope != sample(8).Envelope {
		t.Errorf("got %+v, want %+v", got, *sample(8))
	}
}

func TestOldWritersAreReadWithTodaysDefaults(t *testing.T) {
	const old = `{"type":"record","name":"Pump","fields":[
		{"name":"gone","type":{"type":"array","items":{"type":"map","values":["null","int"]}}},
		{"name":"id","type":"string"},{"name":"level","type":"int"},
		{"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[{"name":"name","type":"string"}]}}}]}`
	const today = `{"type":"record","name":"Pump","fields":[
		{"name":"level","type":"long"},{"name":"id","type":"string"},{"name":"zone","type":"string","default":"north"},
		{"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[
			{"name":"name","type":"string"},{"name":"weight","type":"double","default":1.5}]}}}]}`
	type part struct {
		Name   string  `avro:"name"`
		Weight float64 `avro:"weight"`
	}
	type pump struct {
		ID    string `avro:"id"`
		Zone  string `avro:"zone"`
		Parts []part `avro:"parts"`
		Level int64  `avro:"level"`
	}
	writer, err := Parse(old)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := Parse(today)
	if err != nil {
		t.Fatal(err)
	}
	data, err := hamba.Marshal(writer.record, map[string]any{
		"gone": []any{map[string]any{"a": map[string]any{"int": 3}, "b": nil}}, "id": "p1", "level": 42,
		"parts": []any{map[string]any{"name": "seal"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := NewDecoder[pump](reader, writer)
	if err != nil {
		t.Fatal(err)
	}
	got := pump{Zone: "left over", Parts: []part{{Weight: 99}}}
	if err := decoder.Decode(data, &got); err != nil {
		t.Fatal(err)
	}
	want := pump{ID: "p1", Zone: "north", Level: 42, Parts: []part{{Name: "seal", Weight: 1.5}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestEveryTruncationIsCorrupt(t *testing.T) {
	s := telemetrySchema(t)
	encoder, _ := NewEncoder[schemas.TelemetryReported](s)
	decoder, _ := NewDecoder[schemas.TelemetryReported](s, s)
	data := encoder.Append(nil, sample(8))
	var got schemas.TelemetryReported
	for n := range data {
		if err := decoder.Decode(data[:n], &got); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d of %d bytes: got %v, want ErrCorrupt", n, len(data), err)
		}
	}
	if err := decoder.Decode(append(data, 0), &got); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte too many: got %v, want ErrCorrupt", err)
	}
}

func TestJSONNamesTheFieldThatIsWrong(t *testing.T) {
	s := telemetrySchema(t)
	f := func(text, want string) {
		t.Helper()
		_, err := FromJSON(s, []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
	}
	f(``, "it is empty")
	f(`{"event_id":`, "it is no JSON")
	f(`{"event_id":"a","event_id":"b"}`, "duplicate")
	f("{\"event_id\":\"\xff\"}", "UTF-8")
	f(`{} {}`, "text after the value")
	f(`[]`, "wants an object")
	f(`{}`, `field "event_id": is missing`)
	f(`{"event_id":1}`, `field "event_id": want string, got a number`)
	f(`{"event_id":"a","event_time":"yesterday"}`, `field "event_time"`)
	f(`{"event_id":"a","event_time":1,"received_time":1,"client":"c","device":"d","readings":[],"nonsense":1}`, `field "nonsense": is unknown`)
	f(`{"event_id":"a","event_time":1,"received_time":1,"client":"c","device":"d","readings":[{"metric":"m","time":1,"value":null}]}`, `field "readings[0].value"`)
}

// FuzzDecode holds the compiled decoder against the general library: what either takes, both see as the same event. The library
// alone takes values that no encoder writes; they are told by what it writes for them.
func FuzzDecode(f *testing.F) {
	s := telemetrySchema(f)
	encoder, err := NewEncoder[schemas.TelemetryReported](s)
	if err != nil {
		f.Fatal(err)
	}
	decoder, err := NewDecoder[schemas.TelemetryReported](s, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(encoder.Append(nil, sample(0)))
	f.Add(encoder.Append(nil, sample(8)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var event schemas.TelemetryReported
		if err := decoder.Decode(data, &event); err != nil {
			if survivable(data) && encoded(s, data) {
				t.Fatalf("%x is refused: %v", data, err)
			}
			return
		}
		want, err := general(s, data)
		if err != nil {
			t.Fatalf("the general library refuses %x: %v", data, err)
		}
		if got, err := general(s, encoder.Append(nil, &event)); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%x: got %v (%v), want %v", data, got, err, want)
		}
	})
}

// survivable tells whether the general library can be asked about bytes that are refused: the count of an array that overflows makes it
// write outside of its memory (hamba/avro 2.31, arrayDecoder), and takes a number of ten bytes.
func survivable(data []byte) bool {
	continued := 0
	for _, b := range data {
		if continued++; b < 0x80 {
			continued = 0
		}
		if continued == 9 {
			return false
		}
	}
	return true
}

// general reads data with the general library, within bounds that it does not have by itself.
func general(s *Schema, data []byte) (event map[string]any, err error) {
	bounded := hamba.Config{MaxByteSliceSize: 1 << 20, MaxSliceAllocSize: 1 << 20}.Freeze()
	return event, bounded.Unmarshal(s.record, data, &event)
}

// encoded tells whether the general library reads data, and writes the same again.
func encoded(s *Schema, data []byte) bool {
	event, err := general(s, data)
	if err != nil {
		return false
	}
	again, err := hamba.Marshal(s.record, event)
	return err == nil && bytes.Equal(again, data)
}

func BenchmarkEncode(b *testing.B) {
	s := telemetrySchema(b)
	encoder, _ := NewEncoder[schemas.TelemetryReported](s)
	event := sample(100)
	var dst []byte
	for b.Loop() {
		dst = encoder.Append(dst[:0], event)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/reading")
}

func BenchmarkDecode(b *testing.B) {
	s := telemetrySchema(b)
	encoder, _ := NewEncoder[schemas.TelemetryReported](s)
	decoder, _ := NewDecoder[schemas.TelemetryReported](s, s)
	data := encoder.Append(nil, sample(100))
	var event schemas.TelemetryReported
	for b.Loop() {
		if err := decoder.Decode(data, &event); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/reading")
}

func BenchmarkDecodeGeneral(b *testing.B) {
	s := telemetrySchema(b)
	encoder, _ := NewEncoder[schemas.TelemetryReported](s)
	data := encoder.Append(nil, sample(100))
	for b.Loop() {
		var event map[string]any
		if err := hamba.Unmarshal(s.record, data, &event); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/reading")
}
