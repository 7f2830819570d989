package eventlog_test

import (
	"context"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// TestAFollowerReadsWhatIsThereAndWhatComes adds partitions one after the other, and appends meanwhile.
func TestAFollowerReadsWhatIsThereAndWhatComes(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 3
	log := cluster.Open(t, cfg)
	missing := map[eventlog.Position]bool{}
	appendSome := func(from int) {
		for _, p := range appendReports(t, log, from, 70) {
			missing[p] = true
		}
	}
	follower, err := log.Follow(eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	until := func(partitions int) {
		ends := map[eventlog.Partition]eventlog.Offset{}
		for done := 0; done < partitions; {
			err := follower.Poll(t.Context(), func(r *eventlog.Record) {
				if !missing[r.Position] {
					t.Errorf("%v came twice or never was", r.Position)
				}
				delete(missing, r.Position)
				ends[r.Partition] = r.Offset
			}, func(p eventlog.Partition, next eventlog.Offset) {
				if next != ends[p]+1 {
					t.Errorf("partition %d passed %d after the record at %d", p, next, ends[p])
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			left := map[eventlog.Partition]bool{}
			for p := range missing {
				left[p.Partition] = true
			}
			done = 3 - len(left)
		}
	}
	appendSome(0)
	for p := range 3 {
		follower.Add(eventlog.Partition(p), 0)
		until(p + 1)
	}
	appendSome(70)
	until(3)
	follower.Remove(0)
	appendSome(140) // what of it lies in partition 0 is handed over only when that is added again
	until(2)
	for p := range missing {
		if p.Partition != 0 {
			t.Errorf("%v was not handed over", p)
		}
	}
	for p := range missing {
		follower.Add(0, p.Offset)
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := follower.Poll(ctx, nil, nil); err == nil {
		t.Error("a poll whose context has ended returned nil")
	}
}

// TestAFollowerIsClosedWhileItBegins closes followers to which partitions were added that they do not read yet. The race detector
// judges.
func TestAFollowerIsClosedWhileItBegins(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	cfg := cluster.Config()
	cfg.Partitions = 3
	log := cluster.Open(t, cfg)
	appendReports(t, log, 0, 70)
	for range 30 {
		follower, err := log.Follow(eventlog.TopicTelemetry)
		if err != nil {
			t.Fatal(err)
		}
		follower.Add(1, 0)
		for came := 0; came == 0; {
			if err := follower.Poll(t.Context(), func(*eventlog.Record) { came++ }, func(eventlog.Partition, eventlog.Offset) {}); err != nil {
				t.Fatal(err)
			}
		}
		follower.Add(0, 0)
		follower.Add(2, 0)
		follower.Close()
	}
}

func TestPartitionOfAKey(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	for n := range 7 {
		position, err := log.Append(t.Context(), report(n))
		if err != nil {
			t.Fatal(err)
		}
		if got := log.PartitionOf(report(n).AppendKey(nil), 12); got != position.Partition {
			t.Errorf("%s: got %d, it went to %d", report(n).AppendKey(nil), got, position.Partition)
		}
	}
}
