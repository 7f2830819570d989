package portal

import (
	"cmp"
	"encoding/json"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/story"
	"github.com/fieldlog/fieldlog/schemas"
)

// order is an order as the gateway shows it.
type order struct {
	OrderID     string            `json:"order_id"`
	Client      string            `json:"client"`
	Namespace   string            `json:"namespace"`
	Environment string            `json:"environment"`
	Archtype    string            `json:"archtype"`
	Hardware    string            `json:"hardware"`
	Product     string            `json:"product"`
	Parameters  map[string]string `json:"parameters"`

	Version     int32               `json:"version"`
	Status      schemas.OrderStatus `json:"status"`
	TraceID     string              `json:"trace_id"`
	RequestedBy string              `json:"requested_by"`
	Placed      time.Time           `json:"placed"`
	Updated     time.Time           `json:"updated"`
	Told        time.Time           `json:"told"`

	ProvisionedVersion int32     `json:"provisioned_version"`
	Backend            string    `json:"backend"`
	Step               int32     `json:"step"`
	Steps              int32     `json:"steps"`
	StepName           string    `json:"step_name"`
	Reason             string    `json:"reason"`
	Detail             string    `json:"detail"`
	Attempt            int32     `json:"attempt"`
	NextTry            time.Time `json:"next_try"`
}

// Last is when the order last changed.
func (o order) Last() time.Time {
	if o.Told.After(o.Updated) {
		return o.Told
	}
	return o.Updated
}

// Tone says how the order does.
func (o order) Tone() story.Tone {
	switch o.Status {
	case schemas.OrderStatusReady:
		return story.Good
	case schemas.OrderStatusFailing, schemas.OrderStatusAbandoned:
		return story.Bad
	case schemas.OrderStatusAccepted, schemas.OrderStatusProvisioning, schemas.OrderStatusCancelled:
		return story.Busy
	}
	return story.Quiet
}

// Why says why it does not do well.
func (o order) Why() string {
	if o.Detail == "" || strings.HasPrefix(o.Detail, o.Reason) {
		return cmp.Or(o.Detail, o.Reason)
	}
	return o.Reason + ": " + o.Detail
}

// Moving tells whether its provisioning is under way.
func (o order) Moving() bool {
	return o.Steps > 0 && (o.Status == schemas.OrderStatusProvisioning || o.Status == schemas.OrderStatusFailing)
}

// Deployed tells whether something of it runs.
func (o order) Deployed() bool {
	return o.ProvisionedVersion > 0 && o.Status != schemas.OrderStatusDeprovisioned
}

// MayRetry, MayAbandon and MayChange tell what an operator can do about it. What may be changed may be cancelled.
func (o order) MayRetry() bool {
	return o.Status == schemas.OrderStatusFailing || o.Status == schemas.OrderStatusAbandoned || o.stuck()
}

// stuck tells whether its removal failed.
func (o order) stuck() bool { return o.Status == schemas.OrderStatusCancelled && o.Detail != "" }

// MayAbandon: it is being tried.
func (o order) MayAbandon() bool { return o.Status == schemas.OrderStatusFailing }

// MayChange: it was not cancelled.
func (o order) MayChange() bool {
	return o.Status != schemas.OrderStatusCancelled && o.Status != schemas.OrderStatusDeprovisioned
}

// client is a client as the gateway shows it.
type client struct {
	Client     string    `json:"client"`
	Registered time.Time `json:"registered"`
	Version    int32     `json:"version"`
	TraceID    string    `json:"trace_id"`
	Orders     []order   `json:"orders"`
	History    []told    `json:"history"`
}

// told is an input or a fact about a client.
type told struct {
	Kind      string          `json:"kind"`
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Recorded  time.Time       `json:"recorded"`
	Event     json.RawMessage `json:"event"`
}

type ordersPage struct {
	Orders []order `json:"orders"`
	Next   string  `json:"next"`
}

// wanted is an order as it is sent. A field that is empty is left out.
type wanted struct {
	Client      string            `json:"client,omitempty"`
	Namespace   string            `json:"namespace,omitempty"`
	Environment string            `json:"environment,omitempty"`
	Archtype    string            `json:"archtype,omitempty"`
	Hardware    string            `json:"hardware,omitempty"`
	Product     string            `json:"product,omitempty"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	EventID     string            `json:"event_id,omitempty"`
	RequestedBy string            `json:"requested_by,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Metadata    metadata          `json:"Metadata"`
}

type metadata struct {
	Origin    string `json:"origin"`
	Publisher string `json:"publisher"`
}

// decision is what became of an order that was sent.
type decision struct {
	OrderID  string `json:"order_id"`
	Client   string `json:"client"`
	TraceID  string `json:"trace_id"`
	Decision string `json:"decision"`
	Version  int32  `json:"version"`
}

// line is a record of the log.
type line struct {
	Topic     string            `json:"topic"`
	Partition int32             `json:"partition"`
	Offset    int64             `json:"offset"`
	Timestamp time.Time         `json:"timestamp"`
	Key       string            `json:"key"`
	Headers   map[string]string `json:"headers"`
	Subject   string            `json:"subject"`
	SchemaID  int               `json:"schema_id"`
	Event     json.RawMessage   `json:"event"`
	Reason    string            `json:"reason"`
	Detail    string            `json:"detail"`
	Value     []byte            `json:"value"`
}
