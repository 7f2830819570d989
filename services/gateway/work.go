package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
	"github.com/fieldlog/fieldlog/services/gateway/lineprotocol"
)

// work is what a request needs while it is under way. It is used again, memory and all.
type work struct {
	body      []byte
	scanner   jsonscan.Scanner
	lines     lineprotocol.Scanner
	report    schemas.TelemetryReported
	ids       ids
	eventType []byte

	trace     trace
	now       time.Time
	batch     *eventlog.Batch
	key       string // the request's Idempotency-Key, empty without one
	items     []item // what was added to the batch, in order
	own       int    // how many of them have ids of their sender's own
	recordKey []byte // of the report being added, where it is looked up
	repeats   []item // what the log had already
	refused   int
	errors    []itemError
	overload  bool // some events were refused because too much waits
	unsure    bool // some events were not confirmed
}

// item is one event of the batch.
type item struct {
	index    int // of the request's items
	readings int
	eventID  string // kept only where the client asked for positions

	own       bool          // the id is its sender's
	id        duplicates.ID // if it is
	repeated  bool          // the log had it already, there:
	partition eventlog.Partition
	original  eventlog.Offset
}

// maxErrors bounds the errors told in an answer; the rest are counted.
const maxErrors = 100

// maxKept bounds the memory that is kept for the next request.
const maxKept = 4 << 20

// begin prepares for a request.
func (g *Gateway) begin(r *http.Request) *work {
	w := g.work.Get().(*work)
	w.trace, w.now = traceOf(r), g.cfg.Now()
	w.items, w.errors, w.refused, w.overload, w.unsure = w.items[:0], w.errors[:0], 0, false, false
	w.repeats, w.own, w.key = w.repeats[:0], 0, ""
	w.batch = g.log.NewBatch()
	w.batch.SetTraceparent(w.trace.parent)
	return w
}

// end gives back what begin took.
func (g *Gateway) end(w *work) {
	w.batch.Release()
	w.batch = nil
	if cap(w.body) > maxKept {
		w.body = nil
	}
	clear(w.items)
	clear(w.repeats)
	g.work.Put(w)
}

// limits are the configured ones, with the times that follow from now.
func (g *Gateway) limits(now time.Time) jsonscan.Limits {
	limits := g.cfg.Limits
	limits.Oldest, limits.Newest = schemas.TimeOf(now.Add(-g.cfg.Age)), schemas.TimeOf(now.Add(g.cfg.Future))
	return limits
}

// refuse notes that an item is refused.
func (w *work) refuse(index int, field, reason string) {
	w.refused++
	if len(w.errors) < maxErrors {
		w.errors = append(w.errors, itemError{Index: index, Field: field, Reason: reason})
	}
}

// add completes a report and adds it to the batch.
func (g *Gateway) add(w *work, index int, r *schemas.TelemetryReported, origin string, positions bool) {
	own := w.identify(index, r)
	if r.TraceID == "" {
		r.TraceID = w.trace.id
	}
	if r.Origin == "" {
		r.Origin = origin
	}
	if r.Host == "" {
		r.Host = g.cfg.Host
	}
	if r.EventType == "" {
		w.eventType = append(append(append(w.eventType[:0], "fieldlog.gateway.telemetry."...), r.Client...), ".reported"...)
		r.EventType = string(w.eventType)
	}
	added := item{index: index, readings: len(r.Readings), own: own}
	if positions {
		added.eventID = string(append([]byte(nil), r.EventID...))
	}
	var err error
	if own {
		err = g.addOwn(w, added, r)
	} else if err = w.batch.Add(r); err == nil {
		w.items = append(w.items, added)
	}
	if err != nil {
		g.metrics.refused.WithLabelValues(origin, "too_large").Inc()
		w.refuse(index, "", err.Error())
	}
}

// commit appends the batch and sorts out what became of it. accepted are the results of the items the log has.
func (g *Gateway) commit(ctx context.Context, w *work, origin string) (results []eventlog.Result, accepted, readings int) {
	results = w.batch.Commit(ctx)
	g.receipts.count(results, w.items)
	for i := range results {
		err := results[i].Err
		switch {
		case err == nil:
			accepted++
			readings += w.items[i].readings
			continue
		case errors.Is(err, eventlog.ErrOverloaded):
			w.overload = true
			g.metrics.refused.WithLabelValues(origin, "overloaded").Inc()
		case errors.Is(err, eventlog.ErrTooLarge):
			g.metrics.refused.WithLabelValues(origin, "too_large").Inc()
		default:
			w.unsure = true
			g.metrics.refused.WithLabelValues(origin, "unconfirmed").Inc()
		}
		w.refuse(w.items[i].index, "", reasonOf(err))
	}
	g.metrics.accepted.WithLabelValues(origin).Add(float64(accepted))
	g.metrics.readings.WithLabelValues(origin).Add(float64(readings))
	if w.own+len(w.repeats) > 0 {
		g.decide(ctx, w, origin, results)
	}
	return results, accepted, readings
}

func reasonOf(err error) string {
	switch {
	case errors.Is(err, eventlog.ErrOverloaded):
		return "overloaded: it is not in the log, send it again later"
	case errors.Is(err, eventlog.ErrTooLarge):
		return "too large for the log"
	}
	return "unconfirmed: it may or may not be in the log, send it again with the same event_id"
}

// failed is the problem of a request none of whose items were accepted.
func (w *work) failed(detail string) *problem {
	var p *problem
	switch {
	case w.unsure:
		p = later(http.StatusServiceUnavailable, "the log did not confirm in time: the reports may or may not be in it; send them again with the same event_id")
	case w.overload:
		p = later(http.StatusTooManyRequests, "the log takes no more for now; send the reports again later")
	default:
		p = newProblem(http.StatusBadRequest, detail)
	}
	p.Refused, p.Errors, p.TraceID = w.refused, w.errors, w.trace.id
	return p
}

func refusedDetail(n int, origin string) string {
	what := "report"
	if origin == originEvents {
		what = "event"
	}
	if n == 1 {
		return fmt.Sprintf("the %s was refused", what)
	}
	return fmt.Sprintf("all %d %ss were refused", n, what)
}
