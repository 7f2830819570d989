package eventlog_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

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
