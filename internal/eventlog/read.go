package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// From says where to begin to read.
type From struct {
	kind   fromKind
	offset Offset
	time   time.Time
}

type fromKind uint8

const (
	fromStart fromKind = iota
	fromEnd
	fromOffset
	fromTime
)

// FromStart begins with the oldest record still held.
func FromStart() From { return From{} }

// FromEnd begins with the next record to be written.
func FromEnd() From { return From{kind: fromEnd} }

// FromOffset begins with the record at o, or the oldest still held after it.
func FromOffset(o Offset) From { return From{kind: fromOffset, offset: o} }

// FromTime begins with the first record whose timestamp is t or later.
func FromTime(t time.Time) From { return From{kind: fromTime, time: t} }

// in returns the offset to begin with in each of the given partitions.
func (f From) in(ctx context.Context, l *Log, topic Topic, ends map[Partition]Range) (map[Partition]Offset, error) {
	begin := make(map[Partition]Offset, len(ends))
	for p, r := range ends {
		switch f.kind {
		case fromStart:
			begin[p] = r.First
		case fromOffset:
			begin[p] = min(max(f.offset, r.First), r.Next)
		default:
			begin[p] = r.Next
		}
	}
	if f.kind != fromTime {
		return begin, nil
	}
	after, err := l.OffsetsAt(ctx, topic, f.time)
	if err != nil {
		return nil, err
	}
	for p, r := range ends {
		if found, ok := after[p]; ok {
			begin[p] = min(max(found, r.First), r.Next)
		}
	}
	return begin, nil
}

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
}

// Read yields records until the end, an error, or the end of ctx (which is no error). Records of one partition come in
// order. A yielded record belongs to the caller.
func (l *Log) Read(ctx context.Context, o ReadOptions) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		reading, err := l.newReading(ctx, o)
		if err != nil {
			yield(nil, err)
			return
		}
		defer reading.client.Close()
		for len(reading.open) > 0 && reading.poll(ctx, yield) {
		}
	}
}

// reading is one Read under way.
type reading struct {
	client *kgo.Client
	topic  Topic
	follow bool
	open   map[Partition]Offset // partitions not yet at their end, with that end
}

func (l *Log) newReading(ctx context.Context, o ReadOptions) (*reading, error) {
	ends, err := l.Ends(ctx, o.Topic)
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
	for p, start := range o.Starts {
		begin[p] = min(max(start, ends[p].First), ends[p].Next)
	}
	r := &reading{topic: o.Topic, follow: o.Follow, open: map[Partition]Offset{}}
	from := map[int32]kgo.Offset{}
	for _, p := range wanted {
		end, exists := ends[p]
		if !exists {
			return nil, fmt.Errorf("read %q: it has no partition %d", o.Topic, p)
		}
		if o.Follow || begin[p] < end.Next {
			r.open[p], from[int32(p)] = end.Next, kgo.NewOffset().At(int64(begin[p]))
		}
	}
	r.client, err = kgo.NewClient(append(l.clientOptions(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.fullName(o.Topic): from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a partition which ends in one is seen to end
		kgo.FetchMaxWait(500*time.Millisecond),
	)...)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", o.Topic, err)
	}
	return r, nil
}

// poll yields what arrived. It returns false when reading is over.
func (r *reading) poll(ctx context.Context, yield func(*Record, error) bool) bool {
	fetches := r.client.PollFetches(ctx)
	if ctx.Err() != nil {
		return false
	}
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.Canceled) {
			yield(nil, fmt.Errorf("read %s/%d: %w", r.topic, failed.Partition, failed.Err))
			return false
		}
	}
	more := true
	fetches.EachTopic(func(t kgo.FetchTopic) {
		t.EachRecord(func(k *kgo.Record) {
			more = more && r.offer(TopicID(t.TopicID), k, yield)
		})
	})
	return more
}

func (r *reading) offer(id TopicID, k *kgo.Record, yield func(*Record, error) bool) bool {
	end, open := r.open[Partition(k.Partition)]
	if !open {
		return true // past the end of this partition
	}
	if !r.follow && Offset(k.Offset) >= end-1 {
		delete(r.open, Partition(k.Partition))
	}
	if k.Attrs.IsControl() || !r.follow && Offset(k.Offset) >= end {
		return true
	}
	record := &Record{}
	record.fill(r.topic, id, k)
	return yield(record, nil)
}

// kafka returns the offset in the client's terms, for a group that begins.
func (f From) kafka() kgo.Offset {
	switch f.kind {
	case fromEnd:
		return kgo.NewOffset().AtEnd()
	case fromOffset:
		return kgo.NewOffset().At(int64(f.offset))
	case fromTime:
		return kgo.NewOffset().AfterMilli(f.time.UnixMilli())
	}
	return kgo.NewOffset().AtStart()
}
