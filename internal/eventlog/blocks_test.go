package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// store is a sink that keeps blocks by their identity, as a store with deduplication tokens does.
type store struct {
	mu      sync.Mutex
	blocks  map[string]string            // identity of a block -> its content, first writer wins
	records map[eventlog.Position]int    // how many different blocks hold a record
	stored  chan struct{}                // one token for each record that is stored
	fault   func(b eventlog.Block) error // called before a block is stored; may block
}

func newStore() *store {
	return &store{blocks: map[string]string{}, records: map[eventlog.Position]int{}, stored: make(chan struct{}, 1<<16)}
}

func (s *store) Fold(eventlog.Topic, eventlog.TopicID, eventlog.Partition) eventlog.Fold {
	return &storeFold{store: s}
}

type storeFold struct {
	store *store
	open  []eventlog.Position
}

func (f *storeFold) Add(_ context.Context, r *eventlog.Record) (rows, bytes int, err error) {
	f.open = append(f.open, r.Position)
	return len(f.open), len(f.open), nil
}

func (f *storeFold) Seal(b eventlog.Block) eventlog.Storer {
	sealed := &storeBlock{store: f.store, block: b, records: f.open}
	f.open = nil
	return sealed
}

type storeBlock struct {
	store   *store
	block   eventlog.Block
	records []eventlog.Position
}

func (b *storeBlock) Store(context.Context) error {
	b.store.mu.Lock()
	fault := b.store.fault
	b.store.mu.Unlock()
	if fault != nil {
		if err := fault(b.block); err != nil {
			return err
		}
	}
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	identity, content := b.block.String(), fmt.Sprint(b.records)
	if had, again := b.store.blocks[identity]; again {
		if had != content {
			return fmt.Errorf("block %s was %s, now is %s", identity, had, content)
		}
		return nil
	}
	b.store.blocks[identity] = content
	for _, p := range b.records {
		b.store.records[p]++
		b.store.stored <- struct{}{}
	}
	return nil
}

func (s *store) setFault(f func(eventlog.Block) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// wait waits for n more records to be stored.
func (s *store) wait(t *testing.T, n int) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for i := range n {
		select {
		case <-s.stored:
		case <-deadline:
			t.Fatalf("only %d of %d records were stored in time", i, n)
		}
	}
}

func (s *store) checkOnce(t *testing.T, want []eventlog.Position) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range want {
		if s.records[p] != 1 {
			t.Errorf("record %v is stored %d times, want once", p, s.records[p])
		}
	}
	if len(s.records) != len(want) {
		t.Errorf("%d different records are stored, want %d", len(s.records), len(want))
	}
}

func appendReports(t *testing.T, log *eventlog.Log, from, n int) []eventlog.Position {
	t.Helper()
	batch := log.NewBatch()
	defer batch.Release()
	for i := range n {
		if err := batch.Add(report(from + i)); err != nil {
			t.Fatal(err)
		}
	}
	var positions []eventlog.Position
	for _, r := range batch.Commit(t.Context()) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		positions = append(positions, r.Position)
	}
	return positions
}

// runBlocks runs a member of the group until the returned function is called.
func runBlocks(t *testing.T, log *eventlog.Log, s eventlog.Sink, o eventlog.BlockOptions) (stop func()) {
	t.Helper()
	o.Group, o.Topic = "test", eventlog.TopicTelemetry
	blocks, err := log.Blocks(o, s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- blocks.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

var small = eventlog.BlockOptions{MaxRecords: 10, MaxAge: 20 * time.Millisecond}

func TestBlocksStoreEveryRecordOnce(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	s := newStore()
	want := appendReports(t, log, 0, 500)
	stop := runBlocks(t, log, s, small)
	s.wait(t, 500)
	stop()

	want = append(want, appendReports(t, log, 500, 300)...)
	runBlocks(t, log, s, small)
	s.wait(t, 300)
	s.checkOnce(t, want)
}

func TestAFailingStoreIsRetriedAndOthersFlow(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	s := newStore()
	var mu sync.Mutex
	failures := map[string]int{}
	s.setFault(func(b eventlog.Block) error {
		mu.Lock()
		defer mu.Unlock()
		if failures[b.String()]++; failures[b.String()] < 3 {
			return errors.New("the store is not well")
		}
		return nil
	})
	want := appendReports(t, log, 0, 200)
	runBlocks(t, log, s, small)
	s.wait(t, 200)
	s.checkOnce(t, want)
}

// TestACrashBetweenAnnouncementAndCommitRepeatsTheBlock lets a member die while its blocks are being stored: announced, stored
// or not, but not confirmed. The next member has other bounds, and must cut the same blocks all the same.
func TestACrashBetweenAnnouncementAndCommitRepeatsTheBlock(t *testing.T) {
	for _, storedBeforeCrash := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored=%v", storedBeforeCrash), func(t *testing.T) {
			cluster := eventlogtest.Start(t)
			log := cluster.Open(t, cluster.Config())
			s := newStore()
			reached := make(chan eventlog.Block, 64)
			s.setFault(func(b eventlog.Block) error {
				if storedBeforeCrash {
					keep := &storeBlock{store: &store{blocks: s.blocks, records: s.records, stored: s.stored}, block: b}
					for o := b.First; o <= b.Last; o++ {
						keep.records = append(keep.records, eventlog.Position{Topic: b.Topic, Partition: b.Partition, Offset: o})
					}
					s.mu.Lock()
					err := keep.Store(t.Context())
					s.mu.Unlock()
					if err != nil {
						return err
					}
				}
				reached <- b
				return errors.New("the process dies here")
			})
			want := appendReports(t, log, 0, 300)
			options := small
			options.Drain = time.Nanosecond // as a crash would, leave without finishing
			stop := runBlocks(t, log, s, options)
			first := <-reached
			stop()

			s.setFault(nil)
			runBlocks(t, log, s, eventlog.BlockOptions{MaxRecords: 1000, MaxAge: 20 * time.Millisecond})
			s.wait(t, 300)
			s.checkOnce(t, want)
			if s.blocks[first.String()] == "" {
				t.Errorf("the announced block %v was not stored as announced", first)
			}
		})
	}
}

// TestAPartitionComesBackWhilePaused lets a member fall behind, so that it pauses its partitions, lose one to another member and
// get it back. The client keeps a pause when the partition goes.
func TestAPartitionComesBackWhilePaused(t *testing.T) {
	cluster := eventlogtest.Start(t)
	cfg := cluster.Config()
	cfg.Partitions = 2
	log := cluster.Open(t, cfg)
	s, other := newStore(), newStore()
	s.setFault(func(eventlog.Block) error { return errors.New("the store is away") })
	moved := make(chan struct{})
	var once sync.Once
	other.setFault(func(eventlog.Block) error {
		once.Do(func() { close(moved) })
		return errors.New("it never is there")
	})
	options := eventlog.BlockOptions{MaxRecords: 10, MaxAge: 20 * time.Millisecond, Drain: time.Millisecond}
	runBlocks(t, log, s, options)
	var want []eventlog.Position
	for n := range 60 { // many polls
		want = append(want, appendReports(t, log, 20*n, 20)...)
	}
	stopOther := runBlocks(t, log, other, options)
	<-moved
	stopOther()
	s.setFault(nil)
	s.wait(t, len(want))
	s.checkOnce(t, want)
}

func TestPartitionsMoveBetweenMembers(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	s := newStore()
	var want []eventlog.Position
	stops := []func(){runBlocks(t, log, s, small)}
	for round := range 6 {
		want = append(want, appendReports(t, log, round*200, 200)...)
		if round%2 == 0 {
			stops = append(stops, runBlocks(t, log, s, small))
		} else {
			stops[0]()
			stops = stops[1:]
		}
		s.wait(t, 200)
	}
	s.checkOnce(t, want)
}
