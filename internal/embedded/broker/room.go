package broker

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sys/unix"
)

// writing are the requests that write to the disk. The cluster tells nobody when such a write fails: it acknowledges a commit
// that it did not store, and what it wrote half hides what it writes later from its next start. So no write may fail.
var writing = []kmsg.Key{
	kmsg.Produce, kmsg.OffsetCommit, kmsg.TxnOffsetCommit, kmsg.JoinGroup, kmsg.ConsumerGroupHeartbeat,
	kmsg.InitProducerID, kmsg.EndTxn,
	kmsg.CreateTopics, kmsg.CreatePartitions, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs,
}

// guard refuses a request that writes while there is no room for it. It is called for each of them, one at a time.
func (b *Broker) guard(r kmsg.Request) (kmsg.Response, error, bool) { //nolint:revive // the order is the cluster's
	b.cluster.KeepControl()
	floor, size := b.room.min/4, int64(0)
	if produce, ok := r.(*kmsg.ProduceRequest); ok {
		floor, size = b.room.min, sizeOf(produce)
	}
	err := b.room.check(floor + size)
	if err == nil {
		return nil, nil, false
	}
	if resp := refusal(r); resp != nil {
		return resp, nil, true
	}
	return nil, err, true // the connection is closed
}

func sizeOf(r *kmsg.ProduceRequest) (bytes int64) {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			bytes += int64(len(r.Topics[i].Partitions[j].Records))
		}
	}
	return bytes
}

// refusal answers KAFKA_STORAGE_ERROR to the requests of services under way, nil to others.
func refusal(r kmsg.Request) kmsg.Response {
	code := kerr.KafkaStorageError.Code
	switch r := r.(type) {
	case *kmsg.ProduceRequest:
		return refuseProduce(r, code)
	case *kmsg.OffsetCommitRequest:
		return refuseCommit(r, code)
	case *kmsg.JoinGroupRequest:
		resp := r.ResponseKind().(*kmsg.JoinGroupResponse)
		resp.ErrorCode = code
		return resp
	case *kmsg.InitProducerIDRequest:
		resp := r.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = code
		return resp
	}
	return nil
}

func refuseProduce(r *kmsg.ProduceRequest, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.ProduceResponse)
	for _, t := range r.Topics {
		topic := kmsg.NewProduceResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewProduceResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, code
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

func refuseCommit(r *kmsg.OffsetCommitRequest, code int16) kmsg.Response {
	resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
	for _, t := range r.Topics {
		topic := kmsg.NewOffsetCommitResponseTopic()
		topic.Topic, topic.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			part := kmsg.NewOffsetCommitResponseTopicPartition()
			part.Partition, part.ErrorCode = p.Partition, code
			topic.Partitions = append(topic.Partitions, part)
		}
		resp.Topics = append(resp.Topics, topic)
	}
	return resp
}

// room looks for room on a file system. It asks every time, which costs a microsecond, beside a write that is synced: others
// may fill the disk in between. It belongs to one goroutine.
type room struct {
	dir    string
	min    int64 // what a produce must leave
	logger *slog.Logger
	full   bool // said so
}

var errFull = errors.New("the disk is nearly full")

func (r *room) check(want int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(r.dir, &stat); err != nil {
		return fmt.Errorf("look for room in %q: %w", r.dir, err)
	}
	free := int64(stat.Bavail) * int64(stat.Bsize) //nolint:unconvert // it is unsigned on darwin
	r.tell(free, want)
	if free < want {
		return fmt.Errorf("%w: %q has %d MiB free, a write needs %d MiB", errFull, r.dir, free>>20, want>>20)
	}
	return nil
}

// tell logs when room runs out and when there is some again.
func (r *room) tell(free, want int64) {
	switch {
	case free < want && !r.full:
		r.full = true
		r.logger.Error("the disk is nearly full: the broker takes nothing until there is room", "folder", r.dir, "free_mib", free>>20, "wanted_mib", want>>20)
	case free >= r.min+r.min/8 && r.full:
		r.full = false
		r.logger.Warn("there is room on the disk again", "folder", r.dir, "free_mib", free>>20)
	}
}
