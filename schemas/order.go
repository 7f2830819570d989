package schemas

// Terms are what a client wants of an order.
type Terms struct {
	// Namespace is where it is to run: a DNS label, one live order of the client each.
	Namespace string `avro:"namespace"`
	// Environment is one of Environments, Archtype of Archtypes, Hardware of HardwareClasses.
	Environment string `avro:"environment"`
	Archtype    string `avro:"archtype"`
	Hardware    string `avro:"hardware"`
	// Product is what is ordered, as the product catalogue names it.
	Product string `avro:"product"`
	// Parameters are what else the product's template takes, in the sender's order, without duplicates.
	Parameters []Label `avro:"parameters"`
}

// Environments lists where a module may run. The short spellings dev, stage and prod are read as these.
func Environments() []string { return []string{"Development", "Stage", "Production"} }

// Archtypes lists the kinds of installation.
func Archtypes() []string { return []string{"SaaS", "Edge", "On-Prem"} }

// HardwareClasses lists what a module may run on.
func HardwareClasses() []string { return []string{"Classic", "Dedicated", "Shared"} }

// AnyVersion is the expected version of an input that takes an order in whatever version it is.
const AnyVersion = -1

// OrderPlaced says that a client ordered a module. It is an input: the registrar decides what comes of it.
type OrderPlaced struct {
	Envelope
	// OrderID is unique within its client.
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	Terms
	// ExpectedVersion is the version the sender decided on, or AnyVersion.
	ExpectedVersion int32  `avro:"expected_version"`
	RequestedBy     string `avro:"requested_by"`
}

// OrderChangeRequested says that a client wants an order changed to other terms. It is an input.
type OrderChangeRequested struct {
	Envelope
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	Terms
	// ExpectedVersion is the version the sender decided on, or AnyVersion.
	ExpectedVersion int32  `avro:"expected_version"`
	RequestedBy     string `avro:"requested_by"`
}

// OrderCancelRequested says that a client wants an order cancelled, and what it provisioned removed. It is an input.
type OrderCancelRequested struct {
	Envelope
	OrderID string `avro:"order_id"`
	Client  string `avro:"client"`
	// Reason is in the client's words.
	Reason string `avro:"reason"`
	// ExpectedVersion is the version the sender decided on, or AnyVersion.
	ExpectedVersion int32  `avro:"expected_version"`
	RequestedBy     string `avro:"requested_by"`
}

// Kind implements Event.
func (*OrderPlaced) Kind() Kind { return KindOrderPlaced }

// Kind implements Event.
func (*OrderChangeRequested) Kind() Kind { return KindOrderChangeRequested }

// Kind implements Event.
func (*OrderCancelRequested) Kind() Kind { return KindOrderCancelRequested }

// AppendKey implements Event: the client, so that a client's inputs keep their order.
func (o *OrderPlaced) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }

// AppendKey implements Event: the client.
func (o *OrderChangeRequested) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }

// AppendKey implements Event: the client.
func (o *OrderCancelRequested) AppendKey(dst []byte) []byte { return append(dst, o.Client...) }
