package eventlog

import "time"

// TopicSpec declares a topic. Declared values are used when the topic is created and never changed afterwards.
type TopicSpec struct {
	Name Topic
	// Partitions is fixed for the life of the topic: another count would send a key elsewhere and break its order.
	Partitions int32
	// Retention bounds the age of records; 0 keeps them for ever.
	Retention time.Duration
	// Compact keeps the last record of each key instead of deleting by age.
	Compact bool
	// Doc says what the topic holds.
	Doc string
}

// The topics of this version.
const (
	TopicTelemetry   Topic = "telemetry"
	TopicDeadLetters Topic = "deadletters"
)

// Topics declares every topic, in the order of the flow.
func Topics() []TopicSpec {
	return []TopicSpec{
		{Name: TopicTelemetry, Partitions: 12, Retention: 365 * day, Doc: "what devices reported; key client/device"},
		{Name: TopicDeadLetters, Partitions: 12, Retention: 365 * day, Doc: "what could not be handled; key of the original record"},
	}
}

const day = 24 * time.Hour

// TopicStatus is a declared topic beside what the cluster has.
type TopicStatus struct {
	TopicSpec
	// FullName includes the installation's prefix.
	FullName string
	// Exists tells whether the cluster has it; the fields below are empty otherwise.
	Exists bool
	// ID tells a recreated topic apart.
	ID TopicID
	// ActualPartitions and Replication are what the cluster has.
	ActualPartitions int32
	Replication      int
	// Ranges are the first offset still held and the next to be written, per partition.
	Ranges map[Partition]Range
	// Configs are the topic's settings that differ from the cluster's defaults.
	Configs map[string]string
}

// Range is a half-open range of offsets: First is held, Next is not written yet.
type Range struct{ First, Next Offset }
