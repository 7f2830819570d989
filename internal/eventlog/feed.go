package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// feed follows the partition of one number in several topics, from given offsets. It belongs to one goroutine.
type feed struct {
	client    *kgo.Client
	prefix    string
	partition Partition
	waiting   map[string]int64 // records of each topic behind those that were handed out
	at        map[Topic]Offset // before which all of each topic was handed out
	passed    func()           // called when markers were passed and there was nothing to hand out
}

func (l *Log) newFeed(p Partition, topics []Topic, from map[Topic]Offset) (*feed, error) {
	f := &feed{prefix: l.cfg.Prefix, partition: p, waiting: map[string]int64{}, at: map[Topic]Offset{}, passed: func() {}}
	begin := map[string]map[int32]kgo.Offset{}
	for _, topic := range topics {
		f.at[topic] = from[topic]
		begin[l.fullName(topic)] = map[int32]kgo.Offset{int32(p): kgo.NewOffset().At(int64(from[topic]))}
	}
	var err error
	f.client, err = kgo.NewClient(append(l.clientOptions(),
		kgo.ConsumePartitions(begin),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), // a place that is not there is an error, not a reason to begin elsewhere
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a partition which ends in one is seen to end
		kgo.FetchMaxWait(5*time.Second),
		kgo.FetchMaxBytes(8<<20),
	)...)
	if err != nil {
		return nil, fmt.Errorf("follow partition %d of %v: %w", p, topics, err)
	}
	return f, nil
}

func (f *feed) close() { f.client.Close() }

// lag returns how many records were there, when the brokers last told, that next has not returned yet.
func (f *feed) lag() int64 {
	var lag int64
	for _, n := range f.waiting {
		lag += n
	}
	return lag
}

// next waits for records and returns those that are there, at most a bound. Those of one topic are in order; they belong to the
// caller. It returns ctx's error when ctx ends.
func (f *feed) next(ctx context.Context, bound int) ([]*Record, error) {
	for {
		fetches := f.client.PollRecords(ctx, bound)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		for _, failed := range fetches.Errors() {
			return nil, f.failed(failed)
		}
		var records []*Record
		fetches.EachTopic(func(t kgo.FetchTopic) {
			t.EachPartition(func(p kgo.FetchPartition) { records = append(records, f.taken(t, p)...) })
		})
		if len(records) > 0 {
			return records, nil
		}
		f.passed()
	}
}

func (f *feed) taken(t kgo.FetchTopic, p kgo.FetchPartition) []*Record {
	records := make([]*Record, 0, len(p.Records))
	topic := Topic(strings.TrimPrefix(t.Topic, f.prefix))
	for _, k := range p.Records {
		f.waiting[t.Topic] = max(0, p.HighWatermark-k.Offset-1)
		f.at[topic] = Offset(k.Offset) + 1
		if k.Attrs.IsControl() {
			continue
		}
		r := &Record{}
		k.Value = bytes.Clone(k.Value) // what is decoded from it may be kept, and must not hold what came along
		r.fill(topic, TopicID(t.TopicID), k)
		records = append(records, r)
	}
	return records
}

func (f *feed) failed(e kgo.FetchError) error {
	if errors.Is(e.Err, kerr.OffsetOutOfRange) {
		return fmt.Errorf("follow %s/%d: what the state says was read is not in the log; was the topic deleted and created again? "+
			"Then the topics that follow from it must be, too: %w", e.Topic, e.Partition, e.Err)
	}
	return fmt.Errorf("follow %s/%d: %w", e.Topic, e.Partition, e.Err)
}
