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
	// Together says that a partition goes with those of the same number of the other topics that say so: Setup refuses one that
	// has another count than the declared one.
	Together bool
	// Doc says what the topic holds.
	Doc string
}

// The topics of this version.
const (
	TopicTelemetry     Topic = "telemetry"
	TopicOrders        Topic = "orders"
	TopicClients       Topic = "clients"
	TopicProvisioning  Topic = "provisioning"
	TopicEffects       Topic = "effects"
	TopicNotifications Topic = "notifications"
	TopicClientState   Topic = "client-state"
	TopicEvents        Topic = "events"
	TopicDeadLetters   Topic = "deadletters"
	TopicReceipts      Topic = "receipts"
)

// OrderPartitions is the number of partitions of every topic about orders. They have the same number because what concerns a
// client lies in the partition of the same number in each of them.
const OrderPartitions = 12

// Topics declares every topic, in the order of the flow.
func Topics() []TopicSpec {
	return []TopicSpec{
		{Name: TopicTelemetry, Partitions: 12, Retention: 365 * day, Doc: "what devices reported; key client/device"},
		{Name: TopicOrders, Partitions: OrderPartitions, Together: true, Doc: "what clients asked for; key client"},
		{Name: TopicClients, Partitions: OrderPartitions, Together: true, Doc: "what the registrar decided; key client"},
		{Name: TopicProvisioning, Partitions: OrderPartitions, Together: true, Doc: "how provisioning goes, and what operators decided; key client"},
		{Name: TopicEffects, Partitions: OrderPartitions, Together: true, Compact: true, Doc: "ledger of effects on the world outside; key effect id, in the client's partition"},
		{Name: TopicNotifications, Partitions: OrderPartitions, Together: true, Retention: 365 * day, Doc: "what somebody should be told, by whatever worker reads it; key client"},
		{Name: TopicClientState, Partitions: OrderPartitions, Together: true, Compact: true, Doc: "latest state of each client; key client"},
		{Name: TopicEvents, Partitions: 12, Retention: 365 * day, Doc: "events of anybody's own kinds; key partitionkey, subject or source"},
		{Name: TopicDeadLetters, Partitions: 12, Retention: 365 * day, Doc: "what could not be handled; key of the original record"},
		{Name: TopicReceipts, Partitions: 3, Retention: 365 * day, Doc: "what gateways counted as confirmed; key gateway instance"},
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

// clamp returns the offset within the range, or at its end, that is nearest to o.
func (r Range) clamp(o Offset) Offset { return min(max(o, r.First), r.Next) }
