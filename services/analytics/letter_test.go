package analytics

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// foreign sends values to the telemetry topic as another program would.
func (s *stand) foreign(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Config().Brokers...), kgo.ProducerBatchMaxBytes(4<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for _, r := range records {
		r.Topic = "fieldlog.telemetry"
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// value returns the bytes of an event as the log writes it.
func (s *stand) encoded(t testing.TB, topic eventlog.Topic, event schemas.Event) []byte {
	t.Helper()
	at, err := s.log.Append(t.Context(), event)
	if err != nil {
		t.Fatal(err)
	}
	o := eventlog.ReadOptions{Topic: topic, Partitions: []eventlog.Partition{at.Partition}, From: eventlog.FromOffset(at.Offset)}
	for r, err := range s.log.Read(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Clone(r.Value)
	}
	t.Fatal("the event is not in the log")
	return nil
}

// letters reads dead letters until there are as many as wanted.
func (s *stand) letters(t testing.TB, want int) map[string]schemas.DeadLetter {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	decoder := eventlog.NewDecoder[schemas.DeadLetter](s.log, schemas.KindDeadLetter)
	found := map[string]schemas.DeadLetter{}
	for r, err := range s.log.Read(ctx, eventlog.ReadOptions{Topic: eventlog.TopicDeadLetters, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		var l schemas.DeadLetter
		if err := decoder.Decode(ctx, r, &l); err != nil {
			t.Fatal(err)
		}
		if l.Origin == service {
			found[string(l.Key)] = l
		}
		if len(found) == want {
			return found
		}
	}
	t.Fatalf("got %d dead letters, want %d", len(found), want)
	return nil
}

func TestBadRecordsAreBuriedAndTheRestFlows(t *testing.T) {
	s := newStand(t)
	good := s.encoded(t, eventlog.TopicTelemetry, report(1, 1))
	wrong := s.encoded(t, eventlog.TopicDeadLetters, &schemas.DeadLetter{Reason: schemas.ReasonInvalid})
	without := report(1, 2)
	without.Readings = nil
	nameless := report(1, 3)
	nameless.Device = ""
	ancient := report(1, 4)
	ancient.Readings[2].Time = -1

	bad := map[string]struct {
		value  []byte
		reason schemas.Reason
		detail string
	}{
		"empty":          {nil, schemas.ReasonNotOurs, "wire format"},
		"text":           {[]byte(`{"temperature": 21}`), schemas.ReasonNotOurs, "wire format"},
		"short":          {[]byte{0, 0, 0}, schemas.ReasonNotOurs, "wire format"},
		"unknown schema": {append([]byte{0, 0, 9, 9, 9}, good[5:]...), schemas.ReasonUnknownSchema, "schema id"},
		"wrong event":    {wrong, schemas.ReasonWrongEvent, "DeadLetter"},
		"truncated":      {good[:len(good)-3], schemas.ReasonUndecodable, ""},
		"trailing":       {append(bytes.Clone(good), 1, 2), schemas.ReasonUndecodable, "left over"},
		"no reading":     {s.encoded(t, eventlog.TopicTelemetry, without), schemas.ReasonInvalid, "no reading"},
		"no device":      {s.encoded(t, eventlog.TopicTelemetry, nameless), schemas.ReasonInvalid, "device"},
		"too old":        {s.encoded(t, eventlog.TopicTelemetry, ancient), schemas.ReasonInvalid, "readings[2]: time"},
		"large":          {bytes.Repeat([]byte("x"), 990_000), schemas.ReasonNotOurs, "wire format"},
	}
	for key, record := range bad {
		s.foreign(t, &kgo.Record{Key: []byte(key), Value: record.value, Headers: []kgo.RecordHeader{
			{Key: "traceparent", Value: []byte("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")}, {Key: "note", Value: bytes.Repeat([]byte("n"), 20_000)},
		}})
	}
	s.append(t, 10, 10)
	svc := s.service(t, Config{})
	stop := run(t, svc)
	s.eventually(t, 101, "SELECT count() FROM "+s.ch.Table("reports"))
	found := s.letters(t, len(bad)+2) // the three invalid ones are there under their own two keys too
	stop()
	for key, record := range bad {
		l, ok := found[key]
		if !ok {
			t.Errorf("%s: no dead letter", key)
			continue
		}
		if l.Reason != record.reason || !strings.Contains(l.Detail, record.detail) {
			t.Errorf("%s: got %s %q, want %s with %q", key, l.Reason, l.Detail, record.reason, record.detail)
		}
		if key != "large" && (!bytes.Equal(l.Value, record.value) || len(l.Headers) != 2) {
			t.Errorf("%s: the record's %d bytes came back as %d, %d headers", key, len(record.value), len(l.Value), len(l.Headers))
		}
		if want := fmt.Sprintf("analytics-%s-%d-%d", l.TopicID, l.Partition, l.Offset); l.EventID != want || l.Topic != "telemetry" {
			t.Errorf("%s: event id %q of topic %q, want %q", key, l.EventID, l.Topic, want)
		}
		if l.TraceID != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s: trace id %q", key, l.TraceID)
		}
	}
	if l := found["large"]; len(l.Value) != eventlog.KeptValue || !l.Cut() || !strings.Contains(l.Detail, "cut from 990005 bytes") {
		t.Errorf("large: kept %d bytes, detail %q", len(l.Value), l.Detail)
	}
	if n := value(t, svc.metrics.letters.WithLabelValues(string(schemas.ReasonInvalid))); n != 6 {
		t.Errorf("invalid letters counted: got %v, want 6", n)
	}
	s.exactly(t, 101)
}

// TestAnyKeyIsBuried has records whose keys would not fit twice into a letter.
func TestAnyKeyIsBuried(t *testing.T) {
	s := newStand(t)
	keys := map[int]int{eventlog.KeptKey: eventlog.KeptKey, eventlog.KeptKey + 1: eventlog.KeptKey, 600_000: eventlog.KeptKey, 1_000_000: eventlog.KeptKey} // sizes, with what is kept
	for size := range keys {
		s.foreign(t, &kgo.Record{Key: bytes.Repeat([]byte{byte(size)}, size), Value: bytes.Repeat([]byte("v"), 10_000)})
	}
	stop := run(t, s.service(t, Config{}))
	found := map[int]int{}
	for _, l := range s.letters(t, len(keys)) {
		found[int(l.Size)-10_000] = len(l.Key)
		if l.Cut() != (l.Size > eventlog.KeptKey+10_000) {
			t.Errorf("a record of %d bytes: its letter has %d and %d, cut: %v", l.Size, len(l.Key), len(l.Value), l.Cut())
		}
	}
	stop()
	if !maps.Equal(found, keys) {
		t.Errorf("got keys %v, want %v", found, keys)
	}
}

// TestALetterToldTwiceHasOneID lets a process die after it has buried a record and before it has committed.
func TestALetterToldTwiceHasOneID(t *testing.T) {
	s := newStand(t)
	s.foreign(t, &kgo.Record{Key: []byte("bad"), Value: []byte("x")})
	st := &store{sink: newSink(Config{}.withDefaults(), s.log, s.ch, newMetrics(nil)), block: &block{}}
	fold := st.sink.Fold(eventlog.TopicTelemetry, eventlog.TopicID{}, 0).(*fold)
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		if rows, bytes, err := fold.Add(t.Context(), r); rows != 1 || bytes == 0 || err != nil {
			t.Fatalf("got %d rows, %d bytes, %v", rows, bytes, err)
		}
	}
	letters := append([]schemas.DeadLetter(nil), fold.open.letters...)
	for range 2 {
		if err := fold.Seal(eventlog.Block{}).Store(t.Context()); err != nil {
			t.Fatal(err)
		}
		fold.open.letters = append(fold.open.letters, letters...)
	}
	ids := map[string]int{}
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicDeadLetters}) {
		if err != nil {
			t.Fatal(err)
		}
		ids[r.Header("ce_id")]++
	}
	if len(ids) != 1 || ids[letters[0].EventID] != 2 {
		t.Errorf("got %v, want %q twice", ids, letters[0].EventID)
	}
}

// TestManyMonths sends reports whose readings are spread over years.
func TestManyMonths(t *testing.T) {
	s := newStand(t)
	const reports, months = 4, 18
	for n := range reports {
		r := report(1, n)
		r.Readings = r.Readings[:0]
		for m := range months {
			r.Readings = append(r.Readings, schemas.Reading{Metric: "m", Time: schemas.TimeOf(start.AddDate(0, -m, 0)), Value: schemas.IntegerValue(int64(m))})
		}
		if _, err := s.log.Append(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	svc := s.service(t, Config{MaxAge: time.Hour}) // only the months make blocks end
	stop := run(t, svc)
	s.eventually(t, reports*months, "SELECT count() FROM "+s.ch.Table("readings"))
	s.eventually(t, reports, "SELECT count() FROM "+s.ch.Table("reports"))
	stop()
	if n := value(t, svc.metrics.blocks); n != reports {
		t.Errorf("blocks: got %v, want %d", n, reports)
	}
	s.recompute(t)
}
