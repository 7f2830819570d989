package schemas

// Decided tells what a fact of the registrar follows from.
type Decided struct {
	// Cause is the event id of the input.
	Cause string `avro:"cause"`
	// CauseOffset is the input's offset in the topic orders, in the partition that has the fact's number.
	CauseOffset int64 `avro:"cause_offset"`
}

// ClientRegistered says that a client had its first order accepted.
type ClientRegistered struct {
	Envelope
	Decided
	Client string `avro:"client"`
}

// OrderAccepted says that an order was accepted and is to be provisioned.
type OrderAccepted struct {
	Envelope
	Decided
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	Terms
	// Version is the order's from here on. It counts what was accepted, from 1.
	Version     int32  `avro:"version"`
	RequestedBy string `avro:"requested_by"`
}

// OrderChanged says that an order has new terms and is to be provisioned again.
type OrderChanged struct {
	Envelope
	Decided
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	Terms
	// Version is the order's from here on.
	Version     int32  `avro:"version"`
	RequestedBy string `avro:"requested_by"`
}

// OrderCancelled says that an order was cancelled: what it provisioned is to be removed.
type OrderCancelled struct {
	Envelope
	Decided
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	// Reason is in the client's words.
	Reason string `avro:"reason"`
	// Version is the order's from here on.
	Version     int32  `avro:"version"`
	RequestedBy string `avro:"requested_by"`
}

// OrderRejected says that an input was refused; the order is as it was.
type OrderRejected struct {
	Envelope
	Decided
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	// Action is what was asked for.
	Action OrderAction `avro:"action"`
	// Reason is one of RejectionReasons.
	Reason RejectionReason `avro:"reason"`
	// Detail is the reason in words that the client can read.
	Detail string `avro:"detail"`
	// Version is the order's, 0 when there is none.
	Version     int32  `avro:"version"`
	RequestedBy string `avro:"requested_by"`
}

// OrderAction is what an input asks for.
type OrderAction string

// The actions.
const (
	ActionPlace  OrderAction = "place"
	ActionChange OrderAction = "change"
	ActionCancel OrderAction = "cancel"
)

// RejectionReason says why an input was rejected. The list is closed: every reason has a metric.
type RejectionReason string

// The reasons of a rejection.
const (
	// RejectedInvalid: a field breaks a rule; the detail names it.
	RejectedInvalid RejectionReason = "invalid"
	// RejectedUnknownProduct: the product catalogue does not have it.
	RejectedUnknownProduct RejectionReason = "unknown_product"
	// RejectedHardware: the product is not sold on that hardware.
	RejectedHardware RejectionReason = "hardware_not_offered"
	// RejectedDuplicate: the client has an order with that id already.
	RejectedDuplicate RejectionReason = "duplicate_order"
	// RejectedNamespace: another live order of the client is in that namespace.
	RejectedNamespace RejectionReason = "namespace_taken"
	// RejectedTooMany: the client has as many live orders as one may have.
	RejectedTooMany RejectionReason = "too_many_orders"
	// RejectedUnknownOrder: the client has no order with that id.
	RejectedUnknownOrder RejectionReason = "unknown_order"
	// RejectedStale: the order's version is not the expected one.
	RejectedStale RejectionReason = "stale_version"
	// RejectedCancelled: the order was cancelled before.
	RejectedCancelled RejectionReason = "already_cancelled"
)

// RejectionReasons lists every reason.
func RejectionReasons() []RejectionReason {
	return []RejectionReason{
		RejectedInvalid, RejectedUnknownProduct, RejectedHardware, RejectedDuplicate, RejectedNamespace, RejectedTooMany,
		RejectedUnknownOrder, RejectedStale, RejectedCancelled,
	}
}

// Kind implements Event.
func (*ClientRegistered) Kind() Kind { return KindClientRegistered }

// Kind implements Event.
func (*OrderAccepted) Kind() Kind { return KindOrderAccepted }

// Kind implements Event.
func (*OrderChanged) Kind() Kind { return KindOrderChanged }

// Kind implements Event.
func (*OrderCancelled) Kind() Kind { return KindOrderCancelled }

// Kind implements Event.
func (*OrderRejected) Kind() Kind { return KindOrderRejected }

// AppendKey implements Event: the client, so that a client's facts keep their order.
func (c *ClientRegistered) AppendKey(dst []byte) []byte { return append(dst, c.Client...) }

// AppendKey implements Event: the client.
func (o *OrderAccepted) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }

// AppendKey implements Event: the client.
func (o *OrderChanged) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }

// AppendKey implements Event: the client.
func (o *OrderCancelled) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }

// AppendKey implements Event: the client.
func (o *OrderRejected) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }
