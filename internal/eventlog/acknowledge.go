package eventlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A reader outside this process keeps its place in a group without members: it reads with Open from where Resume says, and
// acknowledges. The place is the group's committed offset, with the topic's id as its note.
//
//  1. The reader works on what it read.
//  2. It acknowledges: everything up to a position is done. A crash before this lets the next reader read it again.
//  3. Acknowledge compares with what was acknowledged before, then commits. Of two acknowledgements at the same time the
//     earlier position may win; then some records are read again, none is skipped.

// ErrNotWritten says that an acknowledged position does not exist yet.
var ErrNotWritten = errors.New("nothing is written there yet")

// Backwards says that an acknowledgement lies before an earlier one. Nothing of it was noted.
type Backwards struct {
	Partition Partition
	// Next is the first offset that is not acknowledged.
	Next Offset
}

// Error implements error.
func (b *Backwards) Error() string {
	return fmt.Sprintf("partition %d is acknowledged up to offset %d already", b.Partition, b.Next-1)
}

// Standing is how far a group has come in a partition.
type Standing struct {
	Partition Partition
	// Next is the first offset that is not acknowledged; nil where nothing ever was.
	Next *Offset
	// Held are the offsets that can be read. What Next lies before of them is gone by the topic's retention.
	Held Range
	// Lag is the number of offsets from Next, or else from the oldest held, to the end. It counts transactions' markers too.
	Lag int64
}

// Standing returns how far a group has come in each partition of a topic.
func (l *Log) Standing(ctx context.Context, group Group, topic Topic) ([]Standing, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Confirm)
	defer cancel()
	held, err := l.Decided(ctx, topic)
	if err != nil {
		return nil, err
	}
	resume, err := l.Resume(ctx, group, topic)
	if err != nil {
		return nil, err
	}
	all := make([]Standing, 0, len(held))
	for _, p := range slices.Sorted(maps.Keys(held)) {
		s := Standing{Partition: p, Held: held[p]}
		from := s.Held.First
		if next, acknowledged := resume[p]; acknowledged {
			s.Next, from = &next, max(from, next)
		}
		s.Lag = int64(max(0, s.Held.Next-from))
		all = append(all, s)
	}
	return all, nil
}

// Resume returns where a group goes on, for the partitions that it ever acknowledged. In a topic that was created anew that is
// the beginning.
func (l *Log) Resume(ctx context.Context, group Group, topic Topic) (map[Partition]Offset, error) {
	id, err := l.topicID(ctx, topic)
	if err != nil {
		return nil, err
	}
	return l.resume(ctx, group, topic, id)
}

func (l *Log) resume(ctx context.Context, group Group, topic Topic, id TopicID) (map[Partition]Offset, error) {
	progress, err := l.Progress(ctx, group, topic)
	if err != nil {
		return nil, err
	}
	next := map[Partition]Offset{}
	for p, at := range progress {
		if next[p] = at.Next; at.TopicID != id.String() {
			next[p] = 0
		}
	}
	return next, nil
}

func (l *Log) topicID(ctx context.Context, topic Topic) (TopicID, error) {
	ids, err := l.TopicIDs(ctx, topic)
	if err != nil {
		return TopicID{}, err
	}
	id, exists := ids[topic]
	if !exists {
		return id, fmt.Errorf("look at topic %q: it is not there", topic)
	}
	return id, nil
}

// Acknowledge notes that a group is done with everything up to and including an offset of each given partition; nil means that
// the brokers have noted all of it. back lets it go backwards, with -1 to the very beginning; without it that is a
// *Backwards. The error wraps ErrNoPartition or ErrNotWritten where there is no such position. Nothing is noted then.
func (l *Log) Acknowledge(ctx context.Context, group Group, topic Topic, done map[Partition]Offset, back bool) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Confirm)
	defer cancel()
	id, err := l.topicID(ctx, topic)
	if err != nil {
		return err
	}
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return err
	}
	before, err := l.resume(ctx, group, topic, id)
	if err != nil {
		return err
	}
	moves := map[Partition]Offset{}
	for _, p := range slices.Sorted(maps.Keys(done)) {
		held, exists := ends[p]
		next, known := before[p]
		switch {
		case !exists:
			return fmt.Errorf("acknowledge %q: %w %d", topic, ErrNoPartition, p)
		case done[p] >= held.Next:
			return fmt.Errorf("acknowledge %s/%d@%d: %w, the next is %d", topic, p, done[p], ErrNotWritten, held.Next)
		case known && done[p]+1 < next && !back:
			return &Backwards{Partition: p, Next: next}
		}
		moves[p] = done[p] + 1
	}
	return l.commitPlaces(ctx, group, topic, id, moves)
}

// commitPlaces commits offsets as nobody's member, which a group without members allows.
func (l *Log) commitPlaces(ctx context.Context, group Group, topic Topic, id TopicID, next map[Partition]Offset) error {
	note := announcement{topicID: id.String()}.String()
	asked := kmsg.NewOffsetCommitRequestTopic()
	asked.Topic, asked.TopicID = l.fullName(topic), [16]byte(id)
	for p, o := range next {
		part := kmsg.NewOffsetCommitRequestTopicPartition()
		part.Partition, part.Offset, part.Metadata = int32(p), int64(o), &note
		asked.Partitions = append(asked.Partitions, part)
	}
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = l.cfg.Prefix + string(group)
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, l.producer)
	if err != nil {
		return fmt.Errorf("commit offsets of group %q: %w", group, err)
	}
	noted := 0
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("commit offset of group %q in %s/%d: %w", group, topic, p.Partition, err)
			}
			noted++
		}
	}
	if noted != len(next) {
		return fmt.Errorf("commit offsets of group %q: %w", group, errSilent)
	}
	return nil
}

// Forget deletes what a group has acknowledged of a topic.
func (l *Log) Forget(ctx context.Context, group Group, topic Topic) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Confirm)
	defer cancel()
	progress, err := l.Progress(ctx, group, topic)
	if err != nil || len(progress) == 0 {
		return err
	}
	var places kadm.TopicsSet
	for p := range progress {
		places.Add(l.fullName(topic), int32(p))
	}
	answer, err := l.admin.DeleteOffsets(ctx, l.cfg.Prefix+string(group), places)
	if err == nil {
		err = answer.Error()
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("forget group %q in topic %q: %w", group, topic, err)
	}
	return nil
}
