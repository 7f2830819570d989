package eventlog

import (
	"encoding/hex"
	"fmt"
)

// Topic is the name of a topic without the installation's prefix: "telemetry".
type Topic string

// Group is the name of a consumer group without the installation's prefix.
type Group string

// Partition is the number of a partition within its topic.
type Partition int32

// Offset is the number of a record within its partition.
type Offset int64

// TopicID is Kafka's id of a topic (KIP-516). A topic that is deleted and created again has another one.
type TopicID [16]byte

// String returns the id as 32 hexadecimal digits.
func (id TopicID) String() string { return hex.EncodeToString(id[:]) }

// Position is where a record lies in the log.
type Position struct {
	Topic     Topic
	Partition Partition
	Offset    Offset
}

// String returns topic/partition@offset.
func (p Position) String() string { return fmt.Sprintf("%s/%d@%d", p.Topic, p.Partition, p.Offset) }
