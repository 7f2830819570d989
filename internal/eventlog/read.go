package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ReadOptions says what to read.
type ReadOptions struct {
	Topic Topic
	// Partitions to read; nil reads all.
	Partitions []Partition
	// From is where to begin. The zero From is the oldest record.
	From From
	// Starts is where to begin in partitions of their own; From tells for the others.
	Starts map[Partition]Offset
	// Follow waits for new records; without it reading ends where the partitions ended when it began.
	Follow bool
	// MaxFetch bounds the bytes that a broker sends at once, and so what waits here for the one who reads; a record that is
	// larger comes alone. Default 50 MiB, right for a reader that has the process to itself.
	MaxFetch int32
}

// Read yields records until the end, an error, or the end of ctx (which is no error). Records of one partition come in
// order. A yielded record belongs to the caller.
func (l *Log) Read(ctx context.Context, o ReadOptions) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		reading, err := l.Open(ctx, o)
		if err != nil {
			yield(nil, err)
			return
		}
		defer reading.Close()
		for record, err := range reading.Records(ctx) {
			if !yield(record, err) {
				return
			}
		}
	}
}

// Reading is one read under way. It belongs to one goroutine. Close it.
type Reading struct {
	client  *kgo.Client
	topic   Topic
	follow  bool
	begin   map[Partition]Offset
	open    map[Partition]Offset // partitions not yet at their end, with that end
	pending []fetched            // arrived, not yet yielded
}

type fetched struct {
	id     TopicID
	record *kgo.Record
}

// Open finds where to begin. The error wraps ErrNoPartition, or says that the brokers could not be asked.
func (l *Log) Open(ctx context.Context, o ReadOptions) (*Reading, error) {
	ends, err := l.Decided(ctx, o.Topic)
	if err != nil {
		return nil, err
	}
	wanted := o.Partitions
	if wanted == nil {
		for p := range ends {
			wanted = append(wanted, p)
		}
	}
	begin, err := o.From.in(ctx, l, o.Topic, ends)
	if err != nil {
		return nil, err
	}
	r := &Reading{topic: o.Topic, follow: o.Follow, begin: map[Partition]Offset{}, open: map[Partition]Offset{}}
	from := map[int32]kgo.Offset{}
	for _, p := range wanted {
		end, exists := ends[p]
		if !exists {
			return nil, fmt.Errorf("read %q: %w %d", o.Topic, ErrNoPartition, p)
		}
		if at, told := o.Starts[p]; told {
			begin[p] = end.clamp(at)
		}
		r.begin[p] = begin[p]
		if o.Follow || begin[p] < end.Next {
			r.open[p], from[int32(p)] = end.Next, kgo.NewOffset().At(int64(begin[p]))
		}
	}
	options := append(l.clientOptions(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.fullName(o.Topic): from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a partition which ends in one is seen to end
		kgo.FetchMaxWait(500*time.Millisecond),
	)
	if o.MaxFetch > 0 {
		options = append(options, kgo.FetchMaxBytes(o.MaxFetch), kgo.FetchMaxPartitionBytes(o.MaxFetch))
	}
	if r.client, err = kgo.NewClient(options...); err != nil {
		return nil, fmt.Errorf("read %q: %w", o.Topic, err)
	}
	return r, nil
}

// Close ends the reading.
func (r *Reading) Close() { r.client.Close() }

// Begin returns the offset that each partition's reading began with.
func (r *Reading) Begin() map[Partition]Offset { return maps.Clone(r.begin) }

// Waiting returns how many records have arrived and were not yielded yet. At 0 the next one may take a while.
func (r *Reading) Waiting() int { return len(r.pending) }

// Records yields records until the end, an error, or the end of ctx, which is no error. It may be called again after ctx
// ended or the loop was left: it goes on with the next record.
func (r *Reading) Records(ctx context.Context) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for {
			for len(r.pending) > 0 {
				next := r.pending[0]
				r.pending[0] = fetched{}
				r.pending = r.pending[1:]
				record := &Record{}
				record.fill(r.topic, next.id, next.record)
				if !yield(record, nil) {
					return
				}
			}
			if len(r.open) == 0 || ctx.Err() != nil {
				return
			}
			if err := r.poll(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// poll waits until records arrive or ctx ends.
func (r *Reading) poll(ctx context.Context) error {
	fetches := r.client.PollFetches(ctx)
	for _, failed := range fetches.Errors() {
		if ctx.Err() == nil && !errors.Is(failed.Err, context.Canceled) {
			return fmt.Errorf("read %s/%d: %w", r.topic, failed.Partition, failed.Err)
		}
	}
	r.pending = r.pending[:0]
	fetches.EachTopic(func(t kgo.FetchTopic) {
		t.EachRecord(func(k *kgo.Record) { r.arrived(TopicID(t.TopicID), k) })
	})
	return nil
}

func (r *Reading) arrived(id TopicID, k *kgo.Record) {
	end, open := r.open[Partition(k.Partition)]
	if !open {
		return // past the end of this partition
	}
	if !r.follow && Offset(k.Offset) >= end-1 {
		delete(r.open, Partition(k.Partition))
	}
	if k.Attrs.IsControl() || !r.follow && Offset(k.Offset) >= end {
		return
	}
	r.pending = append(r.pending, fetched{id, k})
}
