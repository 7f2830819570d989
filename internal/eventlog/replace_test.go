package eventlog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// createAnew deletes the topic of reports and creates it again.
func createAnew(t *testing.T, cluster *eventlogtest.Cluster, log *eventlog.Log) {
	t.Helper()
	if _, err := cluster.Admin(t).DeleteTopics(t.Context(), cluster.Name("telemetry")); err != nil {
		t.Fatal(err)
	}
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestAppendGoesOnInATopicThatWasCreatedAnew deletes a topic twice under a log that appends to it.
func TestAppendGoesOnInATopicThatWasCreatedAnew(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	if _, err := log.Append(t.Context(), report(0)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		createAnew(t, cluster, log)
		for deadline := time.Now().Add(30 * time.Second); ; {
			_, err := log.Append(t.Context(), report(1))
			if err == nil {
				break
			}
			if !errors.Is(err, eventlog.ErrUnconfirmed) || time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		if got := ids(t, log, eventlog.TopicTelemetry); len(got) == 0 || got[len(got)-1] != "event-1" {
			t.Errorf("the topic that was created anew holds %q", got)
		}
	}
}

// TestBlocksGoOnInATopicThatWasCreatedAnew deletes a topic under a member that reads it.
func TestBlocksGoOnInATopicThatWasCreatedAnew(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 2
	log, s := cluster.Open(t, cfg), newStore()
	appendReports(t, log, 0, 20)
	defer runBlocks(t, log, s, eventlog.BlockOptions{Group: "test", Topic: eventlog.TopicTelemetry, MaxAge: 10 * time.Millisecond, Drain: 100 * time.Millisecond})()
	s.wait(t, 20)
	createAnew(t, cluster, log)
	appendReports(t, cluster.Open(t, cfg), 20, 30)
	s.wait(t, 30)
}

// TestAFollowerGoesOnInATopicThatWasCreatedAnew deletes a topic under a follower.
func TestAFollowerGoesOnInATopicThatWasCreatedAnew(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	log := cluster.Open(t, cfg)
	follower, err := log.Follow(eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	hear := func(want string) {
		t.Helper()
		for heard := ""; heard != want; {
			err := follower.Poll(ctx, func(r *eventlog.Record) { heard = r.Header("ce_id") }, func(eventlog.Partition, eventlog.Offset) {})
			if ctx.Err() != nil {
				t.Fatalf("heard %q, not %q: %v", heard, want, err)
			}
		}
	}
	appendReports(t, log, 0, 3)
	follower.Add(0, 1)
	hear("event-2")
	createAnew(t, cluster, log)
	appendReports(t, cluster.Open(t, cfg), 7, 1)
	hear("event-7")
}
