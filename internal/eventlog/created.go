package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// askAgain is the time between two questions to brokers that have not heard of a change.
	askAgain = 50 * time.Millisecond
	// brokerTime bounds the wait for one broker, which may be down.
	brokerTime = time.Second
)

// heard waits until every broker that answers knows the topics by the ids they were created with, and a leader of each of
// their partitions. The answer to a creation comes from the controller, before the brokers have heard of it: without the wait, the
// first question about a new topic may be answered that there is none, or with one that was deleted before.
func (l *Log) heard(ctx context.Context, created map[string]kadm.TopicID) error {
	if len(created) == 0 {
		return nil
	}
	brokers, err := l.admin.ListBrokers(ctx)
	if err != nil {
		return fmt.Errorf("list the brokers: %w", err)
	}
	for _, broker := range brokers.NodeIDs() {
		for !l.brokerHeard(ctx, int(broker), created) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for broker %d to know the topics just created: %w", broker, ctx.Err())
			case <-time.After(askAgain):
			}
		}
	}
	return nil
}

// brokerHeard asks one broker. One that does not answer will have heard of the topics when it does.
func (l *Log) brokerHeard(ctx context.Context, broker int, created map[string]kadm.TopicID) bool {
	ctx, cancel := context.WithTimeout(ctx, brokerTime)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	for name := range created {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, topic)
	}
	resp, err := l.producer.Broker(broker).Request(ctx, req)
	if err != nil {
		return true
	}
	for _, topic := range resp.(*kmsg.MetadataResponse).Topics {
		if topic.ErrorCode != 0 || topic.Topic == nil || created[*topic.Topic] != topic.TopicID {
			return false
		}
		for _, p := range topic.Partitions {
			if p.ErrorCode != 0 {
				return false
			}
		}
	}
	return true
}

// listed asks the leaders of a topic's partitions for offsets. While leaders move, and right after a topic was created, they
// refuse: then it asks again, within the confirmation time. A topic that does not exist is an error at once.
func (l *Log) listed(ctx context.Context, list func(context.Context) (kadm.ListedOffsets, error)) (kadm.ListedOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Confirm)
	defer cancel()
	for {
		offsets, err := list(ctx)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil || !kerr.IsRetriable(err) || errors.Is(err, kerr.UnknownTopicOrPartition) {
			return offsets, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(askAgain):
		}
	}
}
