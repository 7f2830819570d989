package clients

import (
	"slices"
	"strings"

	"github.com/fieldlog/fieldlog/schemas"
)

// The bounds of a client's state.
const (
	// MaxLive is how many orders of a client may occupy a namespace. Further ones are rejected.
	MaxLive = 100
	// MaxClosed is how many deprovisioned orders are remembered; older ones are forgotten, and their ids may be used again.
	MaxClosed = 200
	// MaxHandled is how many inputs are remembered by their event id.
	MaxHandled = 64

	maxWord   = 128 // bytes of a name that others give
	maxDetail = 512 // bytes of an error in words
)

// Apply folds a fact of topic clients or provisioning into a client's state and returns the new one. What concerns an order that
// the client does not have is counted, and changes nothing else.
func Apply(s schemas.ClientState, fact schemas.Event) schemas.ClientState {
	s.Version++
	told := fact.Head()
	s.EventTime, s.ReceivedTime = max(s.EventTime, told.EventTime), max(s.ReceivedTime, told.ReceivedTime)
	if fact.Kind().Topic == schemas.KindOrderAccepted.Topic {
		s.TraceID = told.TraceID
	}
	switch f := fact.(type) {
	case *schemas.ClientRegistered:
		s.Client, s.Registered = f.Client, f.ReceivedTime
		return handled(s, f.Decided)
	case *schemas.OrderAccepted:
		s.Client = f.Client
		return handled(accepted(s, f), f.Decided)
	case *schemas.OrderChanged:
		s = edit(s, f.OrderID, func(o *schemas.OrderState) { changed(o, f) })
		return handled(s, f.Decided)
	case *schemas.OrderCancelled:
		s = edit(s, f.OrderID, func(o *schemas.OrderState) { cancelled(o, f) })
		return handled(s, f.Decided)
	case *schemas.OrderRejected:
		s.Client = f.Client
		return handled(s, f.Decided)
	case *schemas.ProvisioningProgressed:
		return edit(s, f.OrderID, func(o *schemas.OrderState) { progressed(o, f) })
	case *schemas.ProvisioningIntervened:
		return edit(s, f.OrderID, func(o *schemas.OrderState) { intervened(o, f) })
	}
	return s
}

// handled remembers the input that a fact follows from.
func handled(s schemas.ClientState, d schemas.Decided) schemas.ClientState {
	s.OrdersNext = max(s.OrdersNext, d.CauseOffset+1)
	if wasHandled(s, d.Cause) {
		return s
	}
	s.Handled = append(slices.Clone(s.Handled), schemas.Handled{EventID: d.Cause})
	s.Handled = s.Handled[max(0, len(s.Handled)-MaxHandled):]
	return s
}

func wasHandled(s schemas.ClientState, eventID string) bool {
	return slices.Contains(s.Handled, schemas.Handled{EventID: eventID})
}

func accepted(s schemas.ClientState, f *schemas.OrderAccepted) schemas.ClientState {
	status, _ := next(none, CueAccepted)
	s.Orders = append(slices.Clone(s.Orders), schemas.OrderState{
		OrderID: f.OrderID, Terms: f.Terms, Version: f.Version, Status: status,
		PlacedEvent: f.Cause, TraceID: f.TraceID, RequestedBy: f.RequestedBy, Placed: f.ReceivedTime, Updated: f.ReceivedTime,
	})
	return s
}

// edit changes an order in a copy of the client's orders.
func edit(s schemas.ClientState, id string, change func(*schemas.OrderState)) schemas.ClientState {
	i := indexOf(s, id)
	if i < 0 {
		return s
	}
	s.Orders = slices.Clone(s.Orders)
	change(&s.Orders[i])
	return forget(s)
}

// indexOf finds the order of that id; where an id was used again, the latest.
func indexOf(s schemas.ClientState, id string) int {
	for i := len(s.Orders) - 1; i >= 0; i-- {
		if s.Orders[i].OrderID == id {
			return i
		}
	}
	return -1
}

// forget drops the oldest closed orders beyond MaxClosed.
func forget(s schemas.ClientState) schemas.ClientState {
	surplus := -MaxClosed
	for i := range s.Orders {
		if !Live(s.Orders[i].Status) {
			surplus++
		}
	}
	s.Orders = slices.DeleteFunc(s.Orders, func(o schemas.OrderState) bool {
		if surplus <= 0 || Live(o.Status) {
			return false
		}
		surplus--
		return true
	})
	return s
}

func changed(o *schemas.OrderState, f *schemas.OrderChanged) {
	to, known := next(o.Status, CueChanged)
	if !known {
		return
	}
	begin(o)
	o.Status, o.Terms, o.Version = to, f.Terms, f.Version
	o.Updated, o.TraceID, o.RequestedBy = f.ReceivedTime, f.TraceID, f.RequestedBy
}

func cancelled(o *schemas.OrderState, f *schemas.OrderCancelled) {
	to, known := next(o.Status, CueCancelled)
	if !known {
		return
	}
	begin(o)
	o.Status, o.Version, o.Reason = to, f.Version, cut(f.Reason, maxWord)
	o.Updated, o.TraceID, o.RequestedBy = f.ReceivedTime, f.TraceID, f.RequestedBy
}

// begin forgets how the provisioning of an earlier version went.
func begin(o *schemas.OrderState) {
	o.Step, o.Steps, o.StepName, o.Reason, o.Detail, o.Attempt, o.NextTry = 0, 0, "", "", "", 0, 0
}

// progressed takes what is told of the present version. Of another one it only notes that it was provisioned, so that it does not
// matter whether the change was seen before.
func progressed(o *schemas.OrderState, f *schemas.ProvisioningProgressed) {
	o.Told, o.Backend = max(o.Told, f.EventTime), cut(f.Backend, maxWord)
	if f.State == schemas.ProvisioningSucceeded {
		o.ProvisionedVersion = max(o.ProvisionedVersion, f.Version)
	}
	if f.Version != o.Version || o.Status == schemas.OrderStatusDeprovisioned {
		return
	}
	o.Status, _ = next(o.Status, Cue(f.State))
	o.Step, o.Steps, o.StepName = f.Step, f.Steps, cut(f.StepName, maxWord)
	o.Reason, o.Detail = cut(f.Reason, maxWord), cut(f.Detail, maxDetail)
	o.Attempt, o.NextTry = f.Attempt, f.NextTry
	if o.Status == schemas.OrderStatusDeprovisioned {
		o.Parameters = nil // a closed order is remembered, not repeated
	}
}

func intervened(o *schemas.OrderState, f *schemas.ProvisioningIntervened) {
	if f.Version != 0 && f.Version != o.Version || f.Action != schemas.InterventionRetry {
		return
	}
	if to, known := next(o.Status, CueRetried); known {
		begin(o)
		o.Status = to
	}
}

// cut bounds a text without splitting a character.
func cut(text string, bytes int) string {
	if len(text) <= bytes {
		return text
	}
	return strings.ToValidUTF8(text[:bytes], "")
}
