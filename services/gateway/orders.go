package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/schemas"
)

// Book is what the gateway asks about orders. What it tells may be a moment old: the registrar decides.
type Book interface {
	// Order returns the newest known state of an order and whose it is; nil when none is known. Without a client, an order whose id
	// several clients use is an error.
	Order(client, id string) (owner string, order *schemas.OrderState, err error)
	// Expect returns a channel that gets the registrar's answer to an input which is appended afterwards, or was before. cancel ends
	// the wait.
	Expect(ctx context.Context, client, event string) (answer <-chan schemas.Event, cancel func())
}

const originOrders = "orders"

// maxOrderBody bounds the body of an order.
const maxOrderBody = 64 << 10

// ordering is one request about an order.
type ordering struct {
	g     *Gateway
	r     *http.Request
	w     *work
	model orderModel
	wait  time.Duration
	input schemas.Event
	// What the input is about.
	client, order string
	head          *schemas.Envelope
}

// postOrder answers POST /v1/orders.
func (g *Gateway) postOrder(rw http.ResponseWriter, r *http.Request) int {
	return g.ordering(rw, r, func(o *ordering) *problem {
		m := &o.model
		if m.EventID == "" {
			m.EventID = or(r.Header.Get("Idempotency-Key"), m.OrderID)
		}
		return o.with(schemas.ActionPlace)
	})
}

// putOrder answers PUT /v1/orders/{order}: the order is to have these terms.
func (g *Gateway) putOrder(rw http.ResponseWriter, r *http.Request) int {
	return g.ordering(rw, r, func(o *ordering) *problem { return o.existing(schemas.ActionChange) })
}

// deleteOrder answers DELETE /v1/orders/{order}: the order is to be cancelled, and what runs of it removed.
func (g *Gateway) deleteOrder(rw http.ResponseWriter, r *http.Request) int {
	return g.ordering(rw, r, func(o *ordering) *problem { return o.existing(schemas.ActionCancel) })
}

// ordering reads a request, makes its input, appends it and answers.
func (g *Gateway) ordering(rw http.ResponseWriter, r *http.Request, make func(*ordering) *problem) int {
	o := &ordering{g: g, r: r, w: g.begin(r)}
	defer g.end(o.w)
	wrong := o.read(rw)
	if wrong == nil {
		wrong = make(o)
	}
	rw.Header().Set("traceparent", o.w.trace.parent)
	if wrong == nil {
		return o.commit(rw)
	}
	if wrong.Status == http.StatusBadRequest {
		g.metrics.refused.WithLabelValues(originOrders, "invalid").Inc()
	}
	wrong.TraceID = o.w.trace.id
	wrong.write(rw)
	return wrong.Status
}

// read reads the body and the query.
func (o *ordering) read(rw http.ResponseWriter) *problem {
	if o.r.ContentLength > maxOrderBody {
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("an order has at most %d bytes", maxOrderBody))
	}
	release, wrong := o.g.admit(o.r)
	if wrong != nil {
		return wrong
	}
	defer release()
	if o.w.body, wrong = o.g.readBody(rw, o.r, o.w.body); wrong != nil {
		return wrong
	}
	if len(o.w.body) > maxOrderBody {
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("an order has at most %d bytes", maxOrderBody))
	}
	o.g.metrics.bytes.WithLabelValues(originOrders).Add(float64(len(o.w.body)))
	var unknown string
	if o.model, unknown, wrong = readOrder(o.w.body); wrong != nil {
		return wrong
	}
	if unknown != "" {
		if o.g.cfg.Strict {
			return refusedOrder(unknown, "nobody knows this field")
		}
		o.g.metrics.unknown.Inc()
	}
	o.wait, wrong = decisionWait(o.r)
	return wrong
}

// maxDecisionWait bounds how long a request may wait for the registrar.
const maxDecisionWait = 30 * time.Second

func decisionWait(r *http.Request) (time.Duration, *problem) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 || wait > maxDecisionWait {
		return 0, refusedOrder("wait", fmt.Sprintf("want a duration up to %s, as 5s", maxDecisionWait))
	}
	return wait, nil
}

// existing makes an input about an order that is there, as far as the gateway knows.
func (o *ordering) existing(action schemas.OrderAction) *problem {
	m := &o.model
	m.OrderID, m.Client = o.r.PathValue("order"), or(m.Client, o.r.URL.Query().Get("client"))
	m.Reason = or(m.Reason, o.r.URL.Query().Get("reason"))
	m.EventID = or(m.EventID, o.r.Header.Get("Idempotency-Key"))
	if wrong := o.expect(); wrong != nil {
		return wrong
	}
	owner, order, err := o.g.known(m.Client, m.OrderID)
	switch {
	case err != nil:
		return newProblem(http.StatusConflict, err.Error())
	case order == nil && m.Client == "":
		return newProblem(http.StatusNotFound, fmt.Sprintf("there is no order %q yet; say whose it is with ?client= if you know better", m.OrderID))
	case o.behind(order) && m.EventID == "": // one with an id may be one that was answered before: then only the log knows
		return o.stale(order)
	}
	m.Client = or(m.Client, owner)
	return o.with(action)
}

// stale says that the request expects another version than the order has.
func (o *ordering) stale(order *schemas.OrderState) *problem {
	p := newProblem(http.StatusConflict, fmt.Sprintf("the order is at version %d, not %d", order.Version, *o.model.ExpectedVersion))
	p.Reason, p.Version = string(schemas.RejectedStale), order.Version
	return p
}

// behind tells whether the request expects a version that is past. One that the gateway does not know yet may be there: the
// registrar decides.
func (o *ordering) behind(order *schemas.OrderState) bool {
	return order != nil && o.model.ExpectedVersion != nil && *o.model.ExpectedVersion >= 0 && *o.model.ExpectedVersion < order.Version
}

// expect takes the expected version from If-Match, which wins over the body's.
func (o *ordering) expect() *problem {
	tag := strings.TrimSpace(o.r.Header.Get("If-Match"))
	if tag == "" || tag == "*" {
		return nil
	}
	version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 32)
	if err != nil || version < 0 {
		return refusedOrder("If-Match", `want the order's version in quotes, as "3"`)
	}
	expected := int32(version)
	o.model.ExpectedVersion = &expected
	return nil
}

func (g *Gateway) known(client, id string) (string, *schemas.OrderState, error) {
	if g.cfg.Book == nil {
		return client, nil, nil
	}
	return g.cfg.Book.Order(client, id)
}

// with checks the model and makes the input.
func (o *ordering) with(action schemas.OrderAction) *problem {
	m := &o.model
	if m.EventID == "" {
		m.EventID = strings.Clone(o.w.ids.next(o.w.now))
	}
	if m.OrderID == "" {
		m.OrderID = clients.OrderID(m.Client, m.EventID)
	}
	head, wrong := m.envelope(o.w.now, o.w.trace.id, o.g.cfg.Host)
	if wrong != nil {
		return wrong
	}
	terms := clients.Normalise(m.terms())
	violation := clients.CheckNames(m.Client, m.OrderID)
	if action != schemas.ActionCancel {
		violation = clients.CheckOrder(m.Client, m.OrderID, terms, o.g.cfg.Products)
	}
	if violation != nil {
		return refusedOrder(violation.Field, violation.Detail)
	}
	expected := int32(schemas.AnyVersion)
	if m.ExpectedVersion != nil {
		expected = *m.ExpectedVersion
	}
	o.client, o.order = m.Client, m.OrderID
	o.trace(head.TraceID)
	switch action {
	case schemas.ActionPlace:
		o.input = &schemas.OrderPlaced{Envelope: head, OrderID: m.OrderID, Client: m.Client, Terms: terms, ExpectedVersion: expected, RequestedBy: m.RequestedBy}
	case schemas.ActionChange:
		o.input = &schemas.OrderChangeRequested{Envelope: head, OrderID: m.OrderID, Client: m.Client, Terms: terms, ExpectedVersion: expected, RequestedBy: m.RequestedBy}
	default:
		o.input = &schemas.OrderCancelRequested{Envelope: head, OrderID: m.OrderID, Client: m.Client, Reason: m.Reason, ExpectedVersion: expected, RequestedBy: m.RequestedBy}
	}
	o.head = o.input.Head()
	return nil
}

// trace continues the trace that the order tells, where it is one of W3C's.
func (o *ordering) trace(id string) {
	if t, valid := traceFrom(id); valid && t.id != o.w.trace.id {
		o.w.trace = t
		o.w.batch.SetTraceparent(t.parent)
	}
}

// refusedOrder is the problem of an order that breaks a rule.
func refusedOrder(field, reason string) *problem {
	p := newProblem(http.StatusBadRequest, "the order was refused: "+strings.TrimPrefix(field+": "+reason, ": "))
	p.Refused, p.Errors = 1, []itemError{{Field: field, Reason: reason}}
	return p
}

// placed is the answer to an order that the log has.
type placed struct {
	OrderID  string   `json:"order_id"`
	Client   string   `json:"client"`
	EventID  string   `json:"event_id"`
	TraceID  string   `json:"trace_id"`
	Position location `json:"position"`
	// Decision is pending, accepted, changed, cancelled or rejected.
	Decision string `json:"decision"`
	Version  int32  `json:"version,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Detail   string `json:"detail,omitempty"`
}

// location is a position in the log.
type location struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// commit appends the input, waits for the registrar where that was asked for, and answers.
func (o *ordering) commit(rw http.ResponseWriter) int {
	var answer <-chan schemas.Event
	if o.wait > 0 && o.g.cfg.Book != nil {
		coming, cancel := o.g.cfg.Book.Expect(o.r.Context(), o.client, o.head.EventID)
		defer cancel()
		answer = coming
	}
	if err := o.w.batch.Add(o.input); err != nil {
		p := newProblem(http.StatusRequestEntityTooLarge, err.Error())
		p.write(rw)
		return p.Status
	}
	o.w.items = append(o.w.items, item{})
	results, accepted, _ := o.g.commit(o.r.Context(), o.w, originOrders)
	if accepted == 0 {
		p := o.w.failed("the order was refused")
		if o.w.unsure {
			p.Detail = fmt.Sprintf("the log did not confirm in time: the order may or may not be in it; send it again with the event_id %q", o.head.EventID)
		}
		p.TraceID = o.head.TraceID
		p.write(rw)
		return p.Status
	}
	o.g.logger.Info("took an input about an order", "kind", o.input.Kind().Fact, "client", o.client, "order", o.order, "trace_id", o.head.TraceID)
	body := placed{OrderID: o.order, Client: o.client, EventID: o.head.EventID, TraceID: o.head.TraceID, Position: locationOf(results[0].Position), Decision: "pending"}
	rw.Header().Set("Location", "/v1/orders/"+o.order)
	return o.answer(rw, body, o.decision(answer))
}

func locationOf(p eventlog.Position) location {
	return location{Topic: string(p.Topic), Partition: int32(p.Partition), Offset: int64(p.Offset)}
}

// decision waits for the registrar's answer; nil when it did not come in time, or nobody waits.
func (o *ordering) decision(answer <-chan schemas.Event) schemas.Event {
	if answer == nil {
		return nil
	}
	timeout := time.NewTimer(o.wait)
	defer timeout.Stop()
	select {
	case fact := <-answer:
		return fact
	case <-timeout.C:
	case <-o.r.Context().Done():
	}
	select {
	case fact := <-answer: // it came at the same time
		return fact
	default:
		return nil
	}
}

// answer writes what became of the input: 202 while it is not decided, 201 for a new order, 200 for a changed or cancelled one, and
// a problem for one that was rejected.
func (o *ordering) answer(rw http.ResponseWriter, body placed, fact schemas.Event) int {
	status := http.StatusOK
	switch f := fact.(type) {
	case *schemas.OrderAccepted:
		status, body.Decision, body.Version = http.StatusCreated, "accepted", f.Version
	case *schemas.OrderChanged:
		body.Decision, body.Version = "changed", f.Version
	case *schemas.OrderCancelled:
		body.Decision, body.Version = "cancelled", f.Version
	case *schemas.OrderRejected:
		return o.rejected(rw, f)
	default:
		status = http.StatusAccepted
	}
	if body.Version > 0 {
		rw.Header().Set("ETag", `"`+strconv.Itoa(int(body.Version))+`"`)
	}
	writeJSON(rw, status, "application/json", body)
	return status
}

// rejected answers with the registrar's reason and the order's version.
func (o *ordering) rejected(rw http.ResponseWriter, f *schemas.OrderRejected) int {
	status := http.StatusConflict
	switch f.Reason {
	case schemas.RejectedUnknownOrder:
		status = http.StatusNotFound
	case schemas.RejectedInvalid, schemas.RejectedUnknownProduct, schemas.RejectedHardware:
		status = http.StatusBadRequest
	}
	p := newProblem(status, f.Detail)
	p.TraceID, p.Reason, p.Version, p.Refused = o.head.TraceID, string(f.Reason), f.Version, 1
	p.write(rw)
	return status
}
