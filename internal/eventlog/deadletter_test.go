package eventlog_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// TestAnyRecordFitsIntoALetter makes letters of records up to the size that the log takes, and of some that only others would write. The
// log takes each letter; it is whole where that is possible, and tells where it is not.
func TestAnyRecordFitsIntoALetter(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	log := cluster.Open(t, cluster.Config())
	redrive := schemas.Redrive{Letter: "analytics-00ff-3-42", Topic: "telemetry", TopicID: "00ff", Partition: 3, Offset: 42}.Header()
	f := func(key, value int, whole bool, keptHeaders int, headers ...schemas.Header) {
		t.Helper()
		r := &eventlog.Record{Key: bytes.Repeat([]byte("k"), key), Value: bytes.Repeat([]byte("v"), value), Headers: headers}
		l := log.NewDeadLetter("test", "host", r, schemas.ReasonNotOurs, errors.New(strings.Repeat("why ", 5000)))
		if l.Cut() == whole || l.Size != int64(key+value) || whole && (len(l.Key) != key || len(l.Value) != value) {
			t.Errorf("a key of %d, a value of %d: got %d and %d of %d bytes, cut: %v", key, value, len(l.Key), len(l.Value), l.Size, l.Cut())
		}
		if len(l.Headers) != keptHeaders || len(schemas.Redrives(l.Headers)) != int(l.Attempt) {
			t.Errorf("a key of %d, a value of %d: got %d headers, attempt %d", key, value, len(l.Headers), l.Attempt)
		}
		if _, err := log.Append(t.Context(), l); err != nil {
			t.Errorf("a key of %d, a value of %d: %v", key, value, err)
		}
	}
	note := schemas.Header{Key: "note", Value: bytes.Repeat([]byte("n"), 20_000)}
	f(0, 0, true, 0)
	f(10, 100, true, 2, note, redrive)
	f(eventlog.KeptKey, 900_000, true, 1, redrive)
	f(eventlog.KeptKey+1, 10, false, 1, note, redrive)
	f(10, 970_000, true, 1, redrive)
	f(10, 970_000, false, 1, note, redrive)
	f(10, 1_000_000, false, 0)
	f(1_000_000, 0, false, 0)
	f(10, 999_000, false, 0, schemas.Header{Key: schemas.HeaderRedriven, Value: bytes.Repeat([]byte("x"), 900_000)}) // anybody may send it
}
