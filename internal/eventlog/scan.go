package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// scanWait bounds a wait for records before it is asked whether they are still there.
const scanWait = 5 * time.Second

// Scan hands every record of the given ranges to do, those of one partition in order. A record is valid until do returns.
// It is what Read is for many records: nothing is allocated per record. Markers and what was aborted are left out, and so is
// what the log no longer holds. It ends early with the error of do or ctx.
//
// The ranges should be decided (see Log.Decided): Scan waits for transactions that are not.
func (l *Log) Scan(ctx context.Context, topic Topic, ranges map[Partition]Range, do func(*Record) error) error {
	s := &scan{log: l, topic: topic, do: do, open: map[Partition]Offset{}}
	from := map[int32]kgo.Offset{}
	for p, r := range ranges {
		if r.First < r.Next {
			s.open[p], from[int32(p)] = r.Next, kgo.NewOffset().At(int64(r.First))
		}
	}
	if len(from) == 0 {
		return nil
	}
	client, err := kgo.NewClient(append(l.clientOptions(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{l.fullName(topic): from}),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a range which ends in one is seen to end
		kgo.FetchMaxWait(250*time.Millisecond),
		kgo.WithPools(newPools()...),
	)...)
	if err != nil {
		return fmt.Errorf("scan %q: %w", topic, err)
	}
	defer client.Close()
	s.client = client
	for len(s.open) > 0 {
		if err := s.poll(ctx); err != nil {
			return fmt.Errorf("scan %q: %w", topic, err)
		}
	}
	return nil
}

// scan is one Scan under way.
type scan struct {
	log    *Log
	client *kgo.Client
	topic  Topic
	do     func(*Record) error
	open   map[Partition]Offset // partitions not yet at the end of their range, with that end
	view   Record
}

func (s *scan) poll(ctx context.Context) error {
	bound, cancel := context.WithTimeout(ctx, scanWait)
	defer cancel()
	fetches := s.client.PollRecords(bound, pollRecords)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bound.Err() != nil && fetches.NumRecords() == 0 {
		return s.closeDeleted(ctx)
	}
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.Canceled) && !errors.Is(failed.Err, context.DeadlineExceeded) {
			return fmt.Errorf("partition %d: %w", failed.Partition, failed.Err)
		}
	}
	var err error
	fetches.EachTopic(func(t kgo.FetchTopic) {
		t.EachPartition(func(p kgo.FetchPartition) {
			for _, k := range p.Records {
				if err == nil {
					err = s.offer(TopicID(t.TopicID), k)
				}
				k.Recycle()
			}
		})
	})
	return err
}

func (s *scan) offer(id TopicID, k *kgo.Record) error {
	p := Partition(k.Partition)
	end, open := s.open[p]
	if !open {
		return nil
	}
	if Offset(k.Offset) >= end-1 {
		delete(s.open, p)
		s.client.PauseFetchPartitions(map[string][]int32{s.log.fullName(s.topic): {k.Partition}})
	}
	if Offset(k.Offset) >= end || k.Attrs.IsControl() {
		return nil
	}
	s.view.fill(s.topic, id, k)
	return s.do(&s.view)
}

// closeDeleted ends the ranges that the log no longer holds: nothing of them will ever come.
func (s *scan) closeDeleted(ctx context.Context) error {
	ends, err := s.log.Ends(ctx, s.topic)
	if err != nil {
		return err
	}
	for p, end := range s.open {
		if r, exists := ends[p]; !exists || r.First >= end || r.Next < end {
			delete(s.open, p)
		}
	}
	return nil
}
