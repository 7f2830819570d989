package schemas

// ReceiptsCounted says what the log confirmed to a gateway in an interval. What a gateway that is killed has not written down
// yet is in no receipt; what is in one was confirmed by the log.
type ReceiptsCounted struct {
	Envelope
	// Instance is the process that counted; another start is another instance.
	Instance string `avro:"instance"`
	// Sequence numbers the instance's receipts from 1 without a gap.
	Sequence int64 `avro:"sequence"`
	// FromTime and ToTime bound the interval.
	FromTime Time `avro:"from_time"`
	ToTime   Time `avro:"to_time"`
	// Partitions are those in which something was confirmed.
	Partitions []PartitionReceipts `avro:"partitions"`
}

// PartitionReceipts is what was confirmed in one partition.
type PartitionReceipts struct {
	// Topic is without the installation's prefix.
	Topic string `avro:"topic"`
	// TopicID is empty when the topic was created anew within the interval: nobody can tell which one the offsets are of.
	TopicID   string `avro:"topic_id"`
	Partition int32  `avro:"partition"`
	// Records and Readings count what was confirmed.
	Records  int64 `avro:"records"`
	Readings int64 `avro:"readings"`
	// Ranges are the offsets, in order, without overlap.
	Ranges []OffsetRange `avro:"ranges"`
}

// OffsetRange is a run of offsets, both ends included.
type OffsetRange struct {
	First int64 `avro:"first"`
	Last  int64 `avro:"last"`
}

// Kind implements Event.
func (*ReceiptsCounted) Kind() Kind { return KindReceiptsCounted }

// AppendKey implements Event: the instance, so that its receipts keep their order.
func (r *ReceiptsCounted) AppendKey(dst []byte) []byte { return append(dst, r.Instance...) }
