package clients

import "github.com/fieldlog/fieldlog/schemas"

// Row is a fact about an order as trends see it: one row a fact, whatever its kind. What a kind does not tell is empty.
type Row struct {
	Client, OrderID, Kind string
	// Version is the order's; State is the provisioning's, an intervention, or what was rejected.
	Version int32
	State   string
	// Time is when the input was received, or when provisioning told it.
	Time schemas.Time
	schemas.Terms
	Reason, Detail, Backend  string
	Step, Steps, Attempt     int32
	EventID, TraceID, Author string
}

// RowOf returns the row of a fact; false for what is no fact about a client.
func RowOf(fact schemas.Event) (Row, bool) {
	head := fact.Head()
	r := Row{Kind: fact.Kind().Fact, Time: head.ReceivedTime, EventID: head.EventID, TraceID: head.TraceID, Attempt: head.Attempt}
	switch f := fact.(type) {
	case *schemas.ClientRegistered:
		r.Client = f.Client
	case *schemas.OrderAccepted:
		r.Client, r.OrderID, r.Version, r.Terms, r.Author = f.Client, f.OrderID, f.Version, f.Terms, f.RequestedBy
	case *schemas.OrderChanged:
		r.Client, r.OrderID, r.Version, r.Terms, r.Author = f.Client, f.OrderID, f.Version, f.Terms, f.RequestedBy
	case *schemas.OrderCancelled:
		r.Client, r.OrderID, r.Version, r.Reason, r.Author = f.Client, f.OrderID, f.Version, f.Reason, f.RequestedBy
	case *schemas.OrderRejected:
		r.Client, r.OrderID, r.Version, r.State, r.Author = f.Client, f.OrderID, f.Version, string(f.Action), f.RequestedBy
		r.Reason, r.Detail = string(f.Reason), f.Detail
	case *schemas.ProvisioningProgressed:
		r.Client, r.OrderID, r.Version, r.State, r.Time = f.Client, f.OrderID, f.Version, string(f.State), f.EventTime
		r.Reason, r.Detail, r.Backend, r.Step, r.Steps, r.Namespace = f.Reason, f.Detail, f.Backend, f.Step, f.Steps, f.Namespace
	case *schemas.ProvisioningIntervened:
		r.Client, r.OrderID, r.Version, r.State, r.Reason, r.Author = f.Client, f.OrderID, f.Version, string(f.Action), f.Why, f.By
	default:
		return Row{}, false
	}
	return r, true
}
