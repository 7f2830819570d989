package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Decided returns, per partition, the first offset still held and the one before which everything is decided: no record
// before it belongs to a transaction that may yet be aborted.
func (l *Log) Decided(ctx context.Context, topic Topic) (map[Partition]Range, error) {
	ranges, err := l.Ends(ctx, topic)
	if err != nil {
		return nil, err
	}
	stable, err := l.listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return l.admin.ListCommittedOffsets(ctx, l.fullName(topic))
	})
	if err != nil {
		return nil, fmt.Errorf("read decided offsets of topic %q: %w", topic, err)
	}
	stable.Each(func(o kadm.ListedOffset) {
		if r, known := ranges[Partition(o.Partition)]; known {
			r.Next = max(r.First, Offset(o.Offset))
			ranges[Partition(o.Partition)] = r
		}
	})
	return ranges, nil
}

// decide waits until the records of a transaction that was committed are decided, or ctx ends. Apache Kafka answers the commit when it
// has noted it, and lets the partitions know afterwards.
func (l *Log) decide(ctx context.Context, records []*kgo.Record) {
	last := map[string]map[int32]int64{}
	for _, k := range records {
		if last[k.Topic] == nil {
			last[k.Topic] = map[int32]int64{}
		}
		last[k.Topic][k.Partition] = max(last[k.Topic][k.Partition], k.Offset)
	}
	topics := slices.Collect(maps.Keys(last))
	for len(topics) > 0 && ctx.Err() == nil {
		stable, err := l.listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
			return l.admin.ListCommittedOffsets(ctx, topics...)
		})
		if err == nil && decided(stable, last) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(decideAgain):
		}
	}
}

// decideAgain is the time between two looks at a transaction that is being decided, which takes some milliseconds.
const decideAgain = 5 * time.Millisecond

// decided tells whether the stable offsets are behind the last records.
func decided(stable kadm.ListedOffsets, last map[string]map[int32]int64) bool {
	for topic, partitions := range last {
		for p, offset := range partitions {
			if o, listed := stable.Lookup(topic, p); !listed || o.Offset <= offset {
				return false
			}
		}
	}
	return true
}

// OffsetsAt returns, per partition, the offset of the first record whose timestamp is t or later, to the millisecond; where
// there is none, the partition's end.
func (l *Log) OffsetsAt(ctx context.Context, topic Topic, t time.Time) (map[Partition]Offset, error) {
	name := l.fullName(topic)
	after, err := l.listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) {
		return l.admin.ListOffsetsAfterMilli(ctx, t.UnixMilli(), name)
	})
	if err != nil {
		return nil, fmt.Errorf("find %s in topic %q: %w", t, topic, err)
	}
	found := map[Partition]Offset{}
	after.Each(func(o kadm.ListedOffset) {
		if o.Offset >= 0 {
			found[Partition(o.Partition)] = Offset(o.Offset)
		}
	})
	return found, nil
}

// TopicIDs returns the ids of those topics that exist. It asks the brokers each time: the admin client's answers may be as old as
// the client's metadata, and tell the id of a topic that was deleted and created again meanwhile.
func (l *Log) TopicIDs(ctx context.Context, topics ...Topic) (map[Topic]TopicID, error) {
	req := kmsg.NewPtrMetadataRequest()
	names := make(map[string]Topic, len(topics))
	for _, topic := range topics {
		name := l.fullName(topic)
		asked := kmsg.NewMetadataRequestTopic()
		asked.Topic, names[name] = &name, topic
		req.Topics = append(req.Topics, asked)
	}
	resp, err := req.RequestWith(ctx, l.producer)
	if err != nil {
		return nil, fmt.Errorf("ask for the ids of topics: %w", err)
	}
	ids := make(map[Topic]TopicID, len(topics))
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		switch {
		case t.Topic == nil || errors.Is(err, kerr.UnknownTopicOrPartition):
		case err != nil:
			return nil, fmt.Errorf("ask for the id of topic %q: %w", *t.Topic, err)
		default:
			ids[names[*t.Topic]] = TopicID(t.TopicID)
		}
	}
	return ids, nil
}

// Progress is how far a group that reads blocks has come in a partition.
type Progress struct {
	// Next is the offset before which everything is stored. A block that is announced but not confirmed lies at or after it.
	Next Offset
	// TopicID is of the topic that Next belongs to, in 32 hexadecimal digits; empty if the group has never committed.
	TopicID string
}

// Progress returns how far a group has come, for the partitions that it has committed; none of a group that never was.
func (l *Log) Progress(ctx context.Context, group Group, topic Topic) (map[Partition]Progress, error) {
	committed, err := l.admin.FetchOffsets(ctx, l.cfg.Prefix+string(group))
	if err == nil {
		err = committed.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read offsets of group %q: %w", group, err)
	}
	progress := map[Partition]Progress{}
	for p, o := range committed[l.fullName(topic)] {
		if o.At >= 0 {
			progress[Partition(p)] = Progress{Next: Offset(o.At), TopicID: parseAnnouncement(o.Metadata).topicID}
		}
	}
	return progress, nil
}
