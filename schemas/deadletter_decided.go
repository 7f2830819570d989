package schemas

// LetterDecision is what the events that close a dead letter have in common.
type LetterDecision struct {
	// Letter is the event id of the dead letter.
	Letter string `avro:"letter"`
	// LetterPartition and LetterOffset tell where it lies in the topic of dead letters.
	LetterPartition int32 `avro:"letter_partition"`
	LetterOffset    int64 `avro:"letter_offset"`
	// Key is the letter's, so that what is decided of it comes after it.
	Key []byte `avro:"key"`
	// Operator and Why tell who decided it and for what reason.
	Operator string `avro:"operator"`
	Why      string `avro:"why"`
}

// AppendKey implements Event: the letter's key.
func (d *LetterDecision) AppendKey(dst []byte) []byte { return append(dst, d.Key...) }

// DeadLetterRedriven says that the record of a dead letter was appended to its topic again. Both are in the log, or neither.
type DeadLetterRedriven struct {
	Envelope
	LetterDecision
	// Topic and Partition are where the record was appended to; Partition is -1 when its key decided.
	Topic     string `avro:"topic"`
	Partition int32  `avro:"partition"`
}

// Kind implements Event.
func (*DeadLetterRedriven) Kind() Kind { return KindDeadLetterRedriven }

// DeadLetterDiscarded says that a dead letter was given up for good.
type DeadLetterDiscarded struct {
	Envelope
	LetterDecision
	// Reason is the letter's.
	Reason Reason `avro:"reason"`
}

// Kind implements Event.
func (*DeadLetterDiscarded) Kind() Kind { return KindDeadLetterDiscarded }
