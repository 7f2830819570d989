package schemas

// ClientState is a client's latest state, and how far in the log it was folded from. The topic keeps the last of each client.
type ClientState struct {
	Envelope
	Client string `avro:"client"`
	// Registered is when the client's first order was accepted.
	Registered Time `avro:"registered"`
	// Version counts the facts folded in, from 1.
	Version int32 `avro:"version"`
	// Every record before OrdersNext of the topic orders and before ProvisioningNext of the topic provisioning is folded in,
	// of the partitions that have this record's number.
	OrdersNext       int64 `avro:"orders_next"`
	ProvisioningNext int64 `avro:"provisioning_next"`
	// Orders are the client's, oldest first. Closed ones are forgotten beyond a bound.
	Orders []OrderState `avro:"orders"`
	// Handled are the last inputs that were decided, oldest first: told again, they change nothing.
	Handled []Handled `avro:"handled"`
}

// OrderState is the latest state of an order.
type OrderState struct {
	OrderID string `avro:"order_id"`
	Terms
	// Version counts what was accepted, from 1.
	Version int32       `avro:"version"`
	Status  OrderStatus `avro:"status"`
	// PlacedEvent is the id of the input that placed it, TraceID the trace of the last accepted input, RequestedBy who asked.
	PlacedEvent string `avro:"placed_event"`
	TraceID     string `avro:"trace_id"`
	RequestedBy string `avro:"requested_by"`
	// Placed is when it was placed, Updated when its present version was asked for, Told when its provisioning last told something.
	Placed  Time `avro:"placed"`
	Updated Time `avro:"updated"`
	Told    Time `avro:"told"`
	// ProvisionedVersion is the latest version that was provisioned; 0 for none.
	ProvisionedVersion int32 `avro:"provisioned_version"`
	// Step of Steps of the present version are done; StepName is the one in question.
	Step     int32  `avro:"step"`
	Steps    int32  `avro:"steps"`
	StepName string `avro:"step_name"`
	// Reason and Detail say why it failed, was abandoned or cancelled; Attempt counts the tries before, NextTry is when the next
	// one is due, 0 when none is.
	Reason  string `avro:"reason"`
	Detail  string `avro:"detail"`
	Attempt int32  `avro:"attempt"`
	NextTry Time   `avro:"next_try"`
	// Backend provisions it.
	Backend string `avro:"backend"`
}

// Handled is an input that was decided.
type Handled struct {
	EventID string `avro:"event_id"`
}

// OrderStatus is where an order is in its life. Package clients has the transitions.
type OrderStatus string

// The statuses of an order.
const (
	// OrderStatusAccepted: its present version waits to be provisioned.
	OrderStatusAccepted OrderStatus = "accepted"
	// OrderStatusProvisioning: it is being provisioned.
	OrderStatusProvisioning OrderStatus = "provisioning"
	// OrderStatusReady: its present version runs.
	OrderStatusReady OrderStatus = "ready"
	// OrderStatusFailing: a step failed and will be tried again.
	OrderStatusFailing OrderStatus = "failing"
	// OrderStatusAbandoned: it was given up, until somebody changes, retries or cancels it.
	OrderStatusAbandoned OrderStatus = "abandoned"
	// OrderStatusCancelled: what runs of it is to be removed.
	OrderStatusCancelled OrderStatus = "cancelled"
	// OrderStatusDeprovisioned: nothing runs of it any more. This is the end.
	OrderStatusDeprovisioned OrderStatus = "deprovisioned"
)

// OrderStatuses lists every status, in the order of a life.
func OrderStatuses() []OrderStatus {
	return []OrderStatus{
		OrderStatusAccepted, OrderStatusProvisioning, OrderStatusReady, OrderStatusFailing, OrderStatusAbandoned,
		OrderStatusCancelled, OrderStatusDeprovisioned,
	}
}

// Kind implements Event.
func (*ClientState) Kind() Kind { return KindClientState }

// AppendKey implements Event: the client.
func (c *ClientState) AppendKey(dst []byte) []byte { return append(dst, c.Client...) }
