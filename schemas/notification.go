package schemas

// NotificationRaised says that somebody should be told of something. Whoever reads the topic tells them: by mail, in a chat.
//
// It is appended in the same transaction as the fact it is about: there is one for each such fact, and none without.
type NotificationRaised struct {
	Envelope        // TraceID is that of the order; Attempt counts the tries of the last step before this one
	Notice   Notice `avro:"notice"`
	OrderID  string `avro:"order_id"`
	Client   string `avro:"client"`
	// Version is the version of the order it is about.
	Version int32 `avro:"version"`
	// Reason says why in one word, Detail in more.
	Reason string `avro:"reason"`
	Detail string `avro:"detail"`
	// Attempts counts the tries of the last step that failed.
	Attempts int32 `avro:"attempts"`
	// StepName is the step that was not done; Backend should have done it, in Namespace.
	StepName  string `avro:"step_name"`
	Backend   string `avro:"backend"`
	Namespace string `avro:"namespace"`
}

// Notice is what a notification is about.
type Notice string

// NoticeOrderAbandoned says that nothing goes on with an order until somebody changes, cancels or retries it.
const NoticeOrderAbandoned Notice = "order_abandoned"

// Kind implements Event.
func (*NotificationRaised) Kind() Kind { return KindNotificationRaised }

// AppendKey implements Event: the client.
func (n *NotificationRaised) AppendKey(dst []byte) []byte { return append(dst, n.Client...) }
