package gateway

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

// postTelemetry answers POST /v1/telemetry.
func (g *Gateway) postTelemetry(rw http.ResponseWriter, r *http.Request) int {
	shape, wrong := shapeOf(r.Header.Get("Content-Type"))
	if wrong != nil {
		wrong.write(rw)
		return wrong.Status
	}
	w := g.begin(r)
	defer g.end(w)
	rw.Header().Set("traceparent", w.trace.parent)
	release, wrong := g.admit(r)
	if wrong == nil {
		defer release()
		w.key, wrong = idempotencyKey(r)
	}
	if wrong == nil {
		if w.body, wrong = g.readBody(rw, r, w.body); wrong == nil {
			g.metrics.bytes.WithLabelValues(originHTTP).Add(float64(len(w.body)))
			wrong = g.scan(w, shape, r.URL.Query().Has("positions"))
		}
	}
	if wrong != nil {
		wrong.TraceID = w.trace.id
		wrong.write(rw)
		return wrong.Status
	}
	return g.answer(r.Context(), rw, r, w, originHTTP)
}

const (
	originHTTP   = "http"
	originInflux = "influx"
)

// shapeOf tells from the content type how reports stand in the body. What curl sends unless told otherwise is taken too.
func shapeOf(contentType string) (jsonscan.Shape, *problem) {
	if contentType == "" {
		return jsonscan.Document, nil
	}
	media, _, err := mime.ParseMediaType(contentType)
	if err == nil {
		switch media {
		case "application/json", "text/json", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded":
			return jsonscan.Document, nil
		case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-seq":
			return jsonscan.Lines, nil
		}
	}
	return 0, newProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type %q is not taken; use application/json or application/x-ndjson", contentType))
}

// admit takes room for the request's body, or says that there is none now.
func (g *Gateway) admit(r *http.Request) (release func(), wrong *problem) {
	size := r.ContentLength
	if size > g.cfg.MaxBody {
		return nil, g.bodyProblem(errTooLarge)
	}
	if size < 0 || r.Header.Get("Content-Encoding") != "" {
		size = g.cfg.MaxBody
	}
	if !g.flight.TryAcquire(size) {
		return nil, later(http.StatusTooManyRequests, "too many bytes are under way; send the request again later")
	}
	g.metrics.inFlight.Inc()
	return func() {
		g.flight.Release(size)
		g.metrics.inFlight.Dec()
	}, nil
}

// scan reads the reports of the body into the batch. A broken document adds nothing: its problem is returned.
func (g *Gateway) scan(w *work, shape jsonscan.Shape, positions bool) *problem {
	w.scanner.Start(w.body, shape, g.limits(w.now), schemas.TimeOf(w.now))
	for index := 0; ; index++ {
		more, refusal := w.scanner.Next(&w.report)
		if !more {
			break
		}
		if index == g.cfg.MaxItems {
			return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d reports", g.cfg.MaxItems))
		}
		if refusal == nil {
			g.add(w, index, &w.report, originHTTP, positions)
			continue
		}
		if refusal.Broken {
			g.metrics.refused.WithLabelValues(originHTTP, "broken").Inc()
			p := newProblem(http.StatusBadRequest, "the body is broken, nothing of it was accepted: "+refusal.Error())
			p.Refused, p.Errors = index+1, []itemError{{Index: index, Field: refusal.Field, Reason: refusal.Reason}}
			return p
		}
		g.metrics.refused.WithLabelValues(originHTTP, "invalid").Inc()
		w.refuse(index, refusal.Field, refusal.Reason)
	}
	g.metrics.unknown.Add(float64(w.scanner.Unknown))
	return nil
}

// acceptance is the answer of 200 and 207.
type acceptance struct {
	// Accepted counts the reports that the log has, Duplicates those of them that it had before.
	Accepted   int         `json:"accepted"`
	Duplicates int         `json:"duplicates,omitempty"`
	Readings   int         `json:"readings"`
	Refused    int         `json:"refused"`
	TraceID    string      `json:"trace_id"`
	Errors     []itemError `json:"errors,omitempty"`
	Items      []position  `json:"items,omitempty"`
}

// position is where an accepted item lies in the log: for a duplicate, where the report lies that it repeats.
type position struct {
	Index     int    `json:"index"`
	EventID   string `json:"event_id"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Duplicate bool   `json:"duplicate,omitempty"`
}

func (g *Gateway) answer(ctx context.Context, rw http.ResponseWriter, r *http.Request, w *work, origin string) int {
	results, accepted, readings := g.commit(ctx, w, origin)
	for i := range w.repeats {
		accepted++
		readings += w.repeats[i].readings
	}
	if accepted == 0 {
		p := w.failed(refusedDetail(w.refused, origin))
		p.write(rw)
		return p.Status
	}
	status := http.StatusOK
	if w.refused > 0 {
		status = http.StatusMultiStatus
	}
	body := acceptance{Accepted: accepted, Duplicates: w.duplicates(), Readings: readings, Refused: w.refused, TraceID: w.trace.id, Errors: w.errors}
	if r.URL.Query().Has("positions") {
		body.Items = w.positions(results)
	}
	if body.Errors == nil && body.Items == nil && body.Duplicates == 0 {
		writeAccepted(rw, &body)
		return status
	}
	writeJSON(rw, status, "application/json", body)
	return status
}

// writeAccepted writes the answer that most requests get.
func writeAccepted(rw http.ResponseWriter, a *acceptance) {
	text := make([]byte, 0, 128)
	text = strconv.AppendInt(append(text, `{"accepted":`...), int64(a.Accepted), 10)
	text = strconv.AppendInt(append(text, `,"readings":`...), int64(a.Readings), 10)
	text = append(append(append(text, `,"refused":0,"trace_id":"`...), a.TraceID...), "\"}\n"...)
	rw.Header().Set("Content-Type", "application/json")
	_, _ = rw.Write(text) // a client that went away cannot be told
}

// positions returns where the accepted items lie, in their order.
func (w *work) positions(results []eventlog.Result) []position {
	positions := make([]position, 0, len(w.items)+len(w.repeats))
	for i, r := range results {
		if r.Err == nil {
			positions = append(positions, w.items[i].at(r.Position))
		}
	}
	for i := range w.repeats {
		positions = append(positions, w.repeats[i].at(eventlog.Position{}))
	}
	if len(w.repeats) > 0 {
		slices.SortFunc(positions, func(a, b position) int { return a.Index - b.Index })
	}
	return positions
}

// at returns where an item lies that was appended at a position.
func (i *item) at(p eventlog.Position) position {
	if i.repeated {
		p = eventlog.Position{Topic: retriedTopic, Partition: i.partition, Offset: i.original}
	}
	return position{
		Index: i.index, EventID: i.eventID, Topic: string(p.Topic), Partition: int32(p.Partition), Offset: int64(p.Offset), Duplicate: i.repeated,
	}
}
