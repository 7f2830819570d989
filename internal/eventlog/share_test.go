package eventlog_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// holders counts who has each partition.
type holders struct {
	mu   sync.Mutex
	by   map[eventlog.Partition]map[string]bool
	most int // holders of one partition at a time
}

func (h *holders) hold(name string) func(context.Context, eventlog.Partition) error {
	return func(ctx context.Context, p eventlog.Partition) error {
		h.set(p, name, true)
		<-ctx.Done()
		h.set(p, name, false)
		return nil
	}
}

func (h *holders) set(p eventlog.Partition, name string, has bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[p] == nil {
		h.by[p] = map[string]bool{}
	}
	delete(h.by[p], name)
	if has {
		h.by[p][name] = true
	}
	h.most = max(h.most, len(h.by[p]))
}

// count returns how many partitions each one has.
func (h *holders) count() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[string]int{}
	for _, names := range h.by {
		for name := range names {
			counts[name]++
		}
	}
	return counts
}

func (h *holders) wait(t *testing.T, what string, ok func(map[string]int) bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if ok(h.count()) {
			return
		}
	}
	t.Fatalf("%s: it is %v", what, h.count())
}

func TestPartitionsAreSharedAndOneHasEachAtATime(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	h := &holders{by: map[eventlog.Partition]map[string]bool{}}
	var wg sync.WaitGroup
	join := func(name string) context.CancelFunc {
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := log.Share(ctx, "test", eventlog.TopicClients, h.hold(name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		return cancel
	}
	leaveA := join("a")
	h.wait(t, "a has all", func(c map[string]int) bool { return c["a"] == 12 })
	leaveB := join("b")
	h.wait(t, "a and b have six each", func(c map[string]int) bool { return c["a"] == 6 && c["b"] == 6 })
	leaveA()
	h.wait(t, "b has all", func(c map[string]int) bool { return c["a"] == 0 && c["b"] == 12 })
	leaveB()
	wg.Wait()
	if h.most != 1 {
		t.Errorf("a partition had %d holders at a time", h.most)
	}
}

func TestSharingEndsWithTheFirstError(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	failure := errors.New("no")
	err := log.Share(t.Context(), "test", eventlog.TopicClients, func(ctx context.Context, p eventlog.Partition) error {
		if p == 3 {
			return failure
		}
		<-ctx.Done()
		return nil
	})
	if !errors.Is(err, failure) {
		t.Errorf("got %v, want %v", err, failure)
	}
}

// TestSharingEndsWhenTheGroupIsRefused lets a member join that is not allowed to: no partition will ever be its.
func TestSharingEndsWhenTheGroupIsRefused(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	log := cluster.Open(t, cluster.Config())
	cluster.Kafka.ControlKey(int16(kmsg.JoinGroup), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.Kafka.KeepControl()
		resp := r.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return resp, nil, true
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := log.Share(ctx, "test", eventlog.TopicClients, func(context.Context, eventlog.Partition) error {
		t.Error("a member that was refused has a partition")
		return nil
	})
	if !errors.Is(err, kerr.GroupAuthorizationFailed) {
		t.Errorf("got %v, want %v", err, kerr.GroupAuthorizationFailed)
	}
}

// TestSharingOutlivesALostGroup makes the group forget a member once: it joins again by itself.
func TestSharingOutlivesALostGroup(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	log := cluster.Open(t, cluster.Config())
	cluster.Kafka.ControlKey(int16(kmsg.Heartbeat), func(r kmsg.Request) (kmsg.Response, error, bool) {
		resp := r.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = kerr.UnknownMemberID.Code
		return resp, nil, true
	})
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 24)
	ended := make(chan error, 1)
	go func() {
		ended <- log.Share(ctx, "test", eventlog.TopicClients, func(ctx context.Context, _ eventlog.Partition) error {
			begun <- struct{}{}
			<-ctx.Done()
			return nil
		})
	}()
	for n := range 24 { // each of the partitions twice
		select {
		case <-begun:
		case err := <-ended:
			t.Fatalf("it ended after %d of 24 beginnings: %v", n, err)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}
