package eventlog

import (
	"context"
	"errors"

	"github.com/fieldlog/fieldlog/schemas"
)

// ProvisioningTopics are those from which the state of provisioning is folded, in the order in which they must be read. Their
// partitions of one number hold the same clients.
func ProvisioningTopics() []Topic { return []Topic{TopicClients, TopicProvisioning, TopicEffects} }

// History gives apply every event that is in one partition of the topics now, one topic after the other, and returns for each the
// offset before which it has given all. Records of transactions that are not decided yet lie at or after it. Records that are not
// ours are left out and logged.
func (l *Log) History(ctx context.Context, p Partition, topics []Topic, apply func(schemas.Event)) (map[Topic]Offset, error) {
	next := map[Topic]Offset{}
	events := l.NewEvents()
	for _, topic := range topics {
		ends, err := l.Decided(ctx, topic)
		if err != nil {
			return nil, err
		}
		next[topic] = ends[p].Next
		for r, err := range l.Read(ctx, ReadOptions{Topic: topic, Partitions: []Partition{p}}) {
			if err != nil {
				return nil, err
			}
			if err := l.tell(ctx, events, r, apply); err != nil {
				return nil, err
			}
			next[topic] = max(next[topic], r.Offset+1)
		}
	}
	return next, ctx.Err()
}

func (l *Log) tell(ctx context.Context, events *Events, r *Record, apply func(schemas.Event)) error {
	event, err := events.Decode(ctx, r)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		l.logger.Error("left out a record that is not ours", "position", r.String(), "error", err)
		return nil
	}
	if err == nil {
		apply(event)
	}
	return err
}
