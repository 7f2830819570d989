package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// scanned returns the offsets that Scan hands out, per partition.
func scanned(t *testing.T, log *eventlog.Log, ranges map[eventlog.Partition]eventlog.Range) map[eventlog.Partition][]eventlog.Offset {
	t.Helper()
	got := map[eventlog.Partition][]eventlog.Offset{}
	err := log.Scan(t.Context(), eventlog.TopicTelemetry, ranges, func(r *eventlog.Record) error {
		got[r.Partition] = append(got[r.Partition], r.Offset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestScanHandsOutRanges(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 2
	log := cluster.Open(t, cfg)
	for n := range 200 {
		if _, err := log.Append(t.Context(), &schemas.TelemetryReported{Client: "c", Device: fmt.Sprint(n % 7)}); err != nil {
			t.Fatal(err)
		}
	}
	ends, err := log.Decided(t.Context(), eventlog.TopicTelemetry)
	if err != nil || len(ends) != 2 || ends[0].Next < 20 || ends[1].Next < 20 {
		t.Fatalf("got %v %v", ends, err)
	}
	got := scanned(t, log, map[eventlog.Partition]eventlog.Range{0: {First: 3, Next: 9}, 1: ends[1]})
	if !slices.Equal(got[0], []eventlog.Offset{3, 4, 5, 6, 7, 8}) || len(got[1]) != int(ends[1].Next) {
		t.Errorf("got %v", got)
	}
	if got := scanned(t, log, map[eventlog.Partition]eventlog.Range{0: {First: 5, Next: 5}}); len(got) != 0 {
		t.Errorf("an empty range gave %v", got)
	}
	wanted := errors.New("enough")
	if err := log.Scan(t.Context(), eventlog.TopicTelemetry, ends, func(*eventlog.Record) error { return wanted }); !errors.Is(err, wanted) {
		t.Errorf("got %v, want what do returned", err)
	}

	var holes kadm.Offsets
	holes.AddOffset(cluster.Name("telemetry"), 0, 6, -1)
	holes.AddOffset(cluster.Name("telemetry"), 1, int64(ends[1].Next), -1)
	if _, err := cluster.Admin(t).DeleteRecords(t.Context(), holes); err != nil {
		t.Fatal(err)
	}
	got = scanned(t, log, map[eventlog.Partition]eventlog.Range{0: {First: 3, Next: 9}, 1: ends[1]}) // nothing of 1 is left
	if !slices.Equal(got[0], []eventlog.Offset{6, 7, 8}) || len(got[1]) != 0 {
		t.Errorf("after records were deleted: got %v", got)
	}
}

func TestScanLeavesOutWhatWasAborted(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	log := cluster.Open(t, cfg)
	tx, err := log.Transactor(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	report := &schemas.TelemetryReported{Client: "c", Device: "d"}
	no := errors.New("no")
	for _, verdict := range []error{nil, no, nil, no} {
		if err := tx.Run(t.Context(), func(tx *eventlog.Tx) error { return errors.Join(tx.Append(report), verdict) }); !errors.Is(err, verdict) {
			t.Fatal(err)
		}
	}
	ends, err := log.Decided(t.Context(), eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	if got := scanned(t, log, ends); len(got[0]) != 2 || got[0][0] != 0 {
		t.Errorf("got %v of %v, want two records", got, ends)
	}
}

func TestOffsetsAtATime(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	log := cluster.Open(t, cfg)
	begin := time.Now().Add(-time.Hour)
	if _, err := log.Append(t.Context(), &schemas.TelemetryReported{Client: "c", Device: "d"}); err != nil {
		t.Fatal(err)
	}
	f := func(at time.Time, want eventlog.Offset) {
		t.Helper()
		got, err := log.OffsetsAt(t.Context(), eventlog.TopicTelemetry, at)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("at %s: got %v %v, want %d", at, got, err, want)
		}
	}
	f(begin, 0)
	f(begin.Add(2*time.Hour), 1)
}

func TestTopicIDsAreNeverOld(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	admin := cluster.Admin(t)
	seen := map[eventlog.TopicID]bool{}
	for range 3 {
		ids, err := log.TopicIDs(t.Context(), eventlog.TopicTelemetry, eventlog.TopicDeadLetters, "nothing")
		if err != nil || len(ids) != 2 || seen[ids[eventlog.TopicTelemetry]] {
			t.Fatalf("got %v %v, after %v", ids, err, seen)
		}
		seen[ids[eventlog.TopicTelemetry]] = true
		if _, err := admin.DeleteTopics(t.Context(), cluster.Name("telemetry")); err != nil {
			t.Fatal(err)
		}
		if err := log.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProgressIsWhatAGroupStored(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	log := cluster.Open(t, cfg)
	if got, err := log.Progress(t.Context(), "nobody", eventlog.TopicTelemetry); err != nil || len(got) != 0 {
		t.Errorf("of a group that never was: got %v %v", got, err)
	}
	admin := cluster.Admin(t)
	commit := func(text string) {
		t.Helper()
		var o kadm.Offsets
		o.Add(kadm.Offset{Topic: cluster.Name("telemetry"), Partition: 0, At: 5, LeaderEpoch: -1, Metadata: text})
		if err := admin.CommitAllOffsets(context.Background(), cluster.Name("somebody"), o); err != nil {
			t.Fatal(err)
		}
	}
	f := func(text, id string) {
		t.Helper()
		commit(text)
		got, err := log.Progress(t.Context(), "somebody", eventlog.TopicTelemetry)
		if want := (eventlog.Progress{Next: 5, TopicID: id}); err != nil || got[0] != want {
			t.Errorf("%q: got %v %v, want %v", text, got, err, want)
		}
	}
	f("@ab", "ab")
	f("5-9@cd", "cd")
	f("", "")
}
