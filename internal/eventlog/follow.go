package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Follower reads partitions of a topic to their ends and then what is appended to them, over one connection. Partitions may
// be added at any time, by any goroutine; Poll and Remove belong to one. Close it.
type Follower struct {
	log    *Log
	topic  Topic
	client *kgo.Client
	view   Record

	mu       sync.Mutex
	followed map[Partition]bool
}

// Follow returns a Follower that has no partitions yet.
func (l *Log) Follow(topic Topic) (*Follower, error) {
	client, err := kgo.NewClient(append(l.clientOptions(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),               // so that a partition which ends in one is seen to end
		kgo.FetchMaxWait(100*time.Millisecond), // a partition that is added waits for the fetch under way
		kgo.WithPools(newPools()...),
	)...)
	if err != nil {
		return nil, fmt.Errorf("follow %q: %w", topic, err)
	}
	return &Follower{log: l, topic: topic, client: client, followed: map[Partition]bool{}}, nil
}

// Add follows a partition too, from an offset on, or from the oldest record still held after it.
func (f *Follower) Add(p Partition, from Offset) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add(p, from)
}

func (f *Follower) add(p Partition, from Offset) {
	f.followed[p] = true
	f.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{
		f.log.fullName(f.topic): {int32(p): kgo.NewOffset().At(int64(from))},
	})
}

// Remove follows a partition no longer: no later Poll hands over any of it, until it is added again.
func (f *Follower) Remove(p Partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(p)
}

func (f *Follower) remove(p Partition) {
	delete(f.followed, p)
	f.client.RemoveConsumePartitions(map[string][]int32{f.log.fullName(f.topic): {int32(p)}})
}

// begin reads the followed partitions from their beginnings, of the topic that there is now. The client goes on in a topic that was
// deleted and created again only when it is told to forget it.
func (f *Follower) begin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.client.PurgeTopicsFromConsuming(f.log.fullName(f.topic))
	for p := range f.followed {
		f.add(p, 0)
	}
}

// Poll waits for records and hands them over: each to do, where it is valid until do returns; and to passed the offset
// before which all of a partition has been handed over. Markers and what was aborted are left out. An error concerns this
// call alone, except that of ctx. After one that says that the topic was created anew, it begins at the beginning.
func (f *Follower) Poll(ctx context.Context, do func(*Record), passed func(Partition, Offset)) error {
	fetches := f.client.PollRecords(ctx, pollRecords)
	fetches.EachTopic(func(t kgo.FetchTopic) {
		t.EachPartition(func(p kgo.FetchPartition) {
			for _, k := range p.Records {
				if !k.Attrs.IsControl() {
					f.view.fill(f.topic, TopicID(t.TopicID), k)
					do(&f.view)
				}
			}
			if n := len(p.Records); n > 0 {
				passed(Partition(p.Partition), Offset(p.Records[n-1].Offset)+1)
			}
			for _, k := range p.Records {
				k.Recycle()
			}
		})
	})
	for _, failed := range fetches.Errors() {
		if errors.Is(failed.Err, kerr.UnknownTopicID) {
			f.begin()
		}
		if ctx.Err() == nil && !errors.Is(failed.Err, context.Canceled) {
			return fmt.Errorf("follow %s/%d: %w", f.topic, failed.Partition, failed.Err)
		}
	}
	return ctx.Err()
}

// Close ends it. Poll must have returned. It takes the partitions away first: one that was added a moment ago, and is not read yet, would
// make franz-go (1.22) begin to fetch while it closes.
func (f *Follower) Close() {
	f.mu.Lock()
	for p := range f.followed {
		f.remove(p)
	}
	f.mu.Unlock()
	f.client.Close()
}

// PartitionOf returns the partition, of so many, that the events of a key are appended to.
func (l *Log) PartitionOf(key []byte, partitions int) Partition {
	record := kgo.Record{Key: key}
	return Partition(l.keyed.Partition(&record, partitions))
}
