package gateway

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/fieldlog/fieldlog/schemas"
)

// postRetry answers POST /v1/orders/{order}/retry: what failed is to be tried again now, with no tries counted. Of a cancelled order
// that is its removal.
func (g *Gateway) postRetry(rw http.ResponseWriter, r *http.Request) int {
	return g.ordering(rw, r, func(o *ordering) *problem {
		return o.intervene(schemas.InterventionRetry, schemas.OrderStatusFailing, schemas.OrderStatusAbandoned, schemas.OrderStatusCancelled)
	})
}

// postAbandon answers POST /v1/orders/{order}/abandon: what does not succeed is to be given up.
func (g *Gateway) postAbandon(rw http.ResponseWriter, r *http.Request) int {
	return g.ordering(rw, r, func(o *ordering) *problem {
		return o.intervene(schemas.InterventionAbandon, schemas.OrderStatusFailing, schemas.OrderStatusAccepted, schemas.OrderStatusProvisioning, schemas.OrderStatusCancelled)
	})
}

// intervene makes the input of an operator about an order that is there, in one of the given statuses. It is answered when the log
// has it; the provisioner acts on it, and tells in the order's history.
func (o *ordering) intervene(action schemas.Intervention, in ...schemas.OrderStatus) *problem {
	m := &o.model
	m.OrderID, m.Client = o.r.PathValue("order"), or(m.Client, o.r.URL.Query().Get("client"))
	if wrong := o.expect(); wrong != nil {
		return wrong
	}
	owner, order, err := o.g.known(m.Client, m.OrderID)
	switch {
	case err != nil:
		return newProblem(http.StatusConflict, err.Error())
	case order == nil:
		return newProblem(http.StatusNotFound, fmt.Sprintf("there is no order %q", m.OrderID))
	case m.ExpectedVersion != nil && *m.ExpectedVersion >= 0 && *m.ExpectedVersion != order.Version: // nobody judges it later
		return o.stale(order)
	case !slices.Contains(in, order.Status):
		p := newProblem(http.StatusConflict, fmt.Sprintf("the order is %s: there is nothing to %s", order.Status, action))
		p.Reason, p.Version = string(order.Status), order.Version
		return p
	}
	m.Client = or(m.Client, owner)
	if m.EventID = or(m.EventID, o.r.Header.Get("Idempotency-Key")); m.EventID == "" {
		m.EventID = string(append([]byte(nil), o.w.ids.next(o.w.now)...))
	}
	head, wrong := m.envelope(o.w.now, order.TraceID, o.g.cfg.Host)
	if wrong != nil {
		return wrong
	}
	o.client, o.order, o.wait = m.Client, m.OrderID, 0
	o.trace(head.TraceID)
	o.input = &schemas.ProvisioningIntervened{
		Envelope: head, OrderID: m.OrderID, Client: m.Client, Version: order.Version, Action: action, By: m.RequestedBy, Why: m.Reason,
	}
	o.head = o.input.Head()
	return nil
}
