package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/cloudevents"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

const originEvents = "events"

// maxTypes bounds the different types of a request's events, each of which may be a question to the registry.
const maxTypes = 50

// attributeLimits leave room for an event's headers and key beside its data.
var attributeLimits = cloudevents.Limits{Name: 64, Value: 1024, Attributes: 32, Total: 8 << 10}

// postEvents answers POST /v1/events: CloudEvents 1.0 in binary, structured and batch mode, and structured events as lines.
func (g *Gateway) postEvents(rw http.ResponseWriter, r *http.Request) int {
	mode, wrong := modeOf(r.Header)
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
		if w.body, wrong = g.readBody(rw, r, w.body); wrong == nil {
			g.metrics.bytes.WithLabelValues(originEvents).Add(float64(len(w.body)))
			wrong = g.takeEvents(r, w, mode)
		}
	}
	if wrong != nil {
		wrong.TraceID = w.trace.id
		wrong.write(rw)
		return wrong.Status
	}
	if mode == batchMode && len(w.items) == 0 && w.refused == 0 { // an empty batch is a batch
		writeAccepted(rw, &acceptance{TraceID: w.trace.id})
		return http.StatusOK
	}
	return g.answer(r.Context(), rw, r, w, originEvents)
}

// mode is how a request carries CloudEvents.
type mode uint8

const (
	binaryMode mode = iota
	structuredMode
	batchMode
	linesMode
)

// modeOf tells the mode by the content type, and where that is the data's own, by the headers.
func modeOf(header http.Header) (mode, *problem) {
	contentType := header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err == nil && media == "application/cloudevents+json":
		return structuredMode, nil
	case err == nil && media == "application/cloudevents-batch+json":
		return batchMode, nil
	case err == nil && (media == "application/x-ndjson" || media == "application/ndjson"):
		return linesMode, nil
	case strings.HasPrefix(media, "application/cloudevents"):
		return 0, newProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type %q is not taken; CloudEvents are taken as JSON", contentType))
	case cloudevents.Carries(header):
		return binaryMode, nil
	}
	return 0, newProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type %q without a header ce-specversion is no CloudEvent; "+
		"use application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson, or ce- headers", contentType))
}

// takeEvents reads the events of the body into the batch. A broken document adds nothing, and so does a registry that does
// not answer: their problem is returned.
func (g *Gateway) takeEvents(r *http.Request, w *work, mode mode) *problem {
	taking := taking{gateway: g, work: w, positions: r.URL.Query().Has("positions"), types: map[string]bool{}}
	if mode == binaryMode {
		event, refusal := cloudevents.Binary(r.Header, w.body, attributeLimits)
		return taking.take(r.Context(), 0, &event, refusal)
	}
	index := 0
	for text, err := range eventsIn(w.body, mode) {
		switch {
		case err != nil:
			return taking.broken(index, "", err.Error())
		case index == g.cfg.MaxItems:
			return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the request has more than %d events", g.cfg.MaxItems))
		}
		event, refusal := cloudevents.Structured(text, attributeLimits)
		if refusal != nil && refusal.Broken && mode == structuredMode {
			return taking.broken(index, refusal.Field, refusal.Reason)
		}
		if wrong := taking.take(r.Context(), index, &event, refusal); wrong != nil {
			return wrong
		}
		index++
	}
	if index == 0 && mode == linesMode {
		return taking.broken(0, "", "the body is empty")
	}
	return nil
}

func eventsIn(body []byte, mode mode) iter.Seq2[[]byte, error] {
	switch mode {
	case batchMode:
		return cloudevents.Batch(body)
	case linesMode:
		return cloudevents.Lines(body)
	}
	return func(yield func([]byte, error) bool) { yield(body, nil) }
}

// taking is the events of one request on their way into the batch.
type taking struct {
	gateway   *Gateway
	work      *work
	positions bool
	types     map[string]bool
}

func (t *taking) broken(index int, field, reason string) *problem {
	t.gateway.metrics.refused.WithLabelValues(originEvents, "broken").Inc()
	p := newProblem(http.StatusBadRequest, "the body is broken, nothing of it was accepted: "+reason)
	p.Refused, p.Errors = index+1, []itemError{{Index: index, Field: field, Reason: reason}}
	return p
}

// take adds an event to the batch or refuses it. A problem concerns the whole request.
func (t *taking) take(ctx context.Context, index int, e *cloudevents.Event, refusal *cloudevents.Refusal) *problem {
	var wrong *problem
	if refusal == nil {
		refusal, wrong = t.check(ctx, e)
	}
	if refusal == nil && wrong == nil {
		refusal, wrong = t.add(ctx, index, e)
	}
	if refusal != nil {
		t.gateway.metrics.refused.WithLabelValues(originEvents, "invalid").Inc()
		t.work.refuse(index, refusal.Field, refusal.Reason)
	}
	return wrong
}

// recordName is the form of an Avro record's full name.
var recordName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// check refuses what may not come in, or not like this.
func (t *taking) check(ctx context.Context, e *cloudevents.Event) (*cloudevents.Refusal, *problem) {
	kind, ours := kindOf(e.Type)
	switch {
	case !recordName.MatchString(e.Type):
		return refusalOf("type", "is not the full name of an Avro record, such as com.example.TankFilled"), nil
	case ours && !kind.Open, !ours && strings.HasPrefix(e.Type, schemas.Namespace):
		return refusalOf("type", "names a fact that only Fieldlog itself tells; from outside comes "+openKinds()), nil
	case e.Data == nil:
		return refusalOf("data", "is missing"), nil
	}
	t.types[e.Type] = true
	if len(t.types) > maxTypes {
		return refusalOf("type", fmt.Sprintf("is one more than the %d different types that a request may have", maxTypes)), nil
	}
	if !ours || e.DataSchema == "" {
		return nil, nil
	}
	version, refusal := versionOf(e.Type, e.DataSchema)
	if refusal != nil {
		return refusal, nil
	}
	return t.verdict(t.gateway.log.HasVersion(ctx, schemas.Subject(e.Type), version), "dataschema")
}

func kindOf(subject string) (schemas.Kind, bool) {
	for _, kind := range schemas.Kinds() {
		if string(kind.Subject) == subject {
			return kind, true
		}
	}
	return schemas.Kind{}, false
}

func openKinds() string {
	var names []string
	for _, kind := range schemas.Kinds() {
		if kind.Open {
			names = append(names, string(kind.Subject))
		}
	}
	return strings.Join(names, ", ")
}

func refusalOf(field, reason string) *cloudevents.Refusal {
	return &cloudevents.Refusal{Field: field, Reason: reason}
}

// add adds an event to the batch: a report as if it had come by /v1/telemetry, any other to the topic of events.
func (t *taking) add(ctx context.Context, index int, e *cloudevents.Event) (*cloudevents.Refusal, *problem) {
	t.work.batch.SetAttributes(e.Attributes)
	if e.Type == string(schemas.KindTelemetryReported.Subject) {
		return t.addReport(index, e), nil
	}
	event := eventlog.JSONEvent{
		Topic: eventlog.TopicEvents, Key: keyOf(e), Subject: schemas.Subject(e.Type), ID: e.ID, Source: e.Source, Time: e.Time, Data: e.Data,
	}
	if e.DataSchema != "" {
		var refusal *cloudevents.Refusal
		if event.Version, refusal = versionOf(e.Type, e.DataSchema); refusal != nil {
			return refusal, nil
		}
	}
	if err := t.work.batch.AddJSON(ctx, &event); err != nil {
		field := "type"
		if e.DataSchema != "" {
			field = "dataschema"
		}
		return t.verdict(err, field)
	}
	added := item{index: index}
	if t.positions {
		added.eventID = e.ID
	}
	t.work.items = append(t.work.items, added)
	return nil, nil
}

// keyOf decides an event's partition: events of one key keep their order.
func keyOf(e *cloudevents.Event) string {
	switch {
	case e.PartitionKey != "":
		return e.PartitionKey
	case e.Subject != "":
		return e.Subject
	}
	return e.Source
}

// verdict tells what the sender must change from what passes. field is to blame where a schema is missing.
func (t *taking) verdict(err error, field string) (*cloudevents.Refusal, *problem) {
	var misfit *eventlog.Misfit
	switch {
	case err == nil:
		return nil, nil
	case errors.As(err, &misfit):
		return refusalOf(strings.TrimSuffix("data."+misfit.Field, "."), misfit.Reason), nil
	case errors.Is(err, eventlog.ErrNotRegistered):
		return refusalOf(field, err.Error()), nil
	case errors.Is(err, eventlog.ErrTooLarge):
		return refusalOf("data", err.Error()), nil
	}
	t.gateway.metrics.refused.WithLabelValues(originEvents, "registry").Inc()
	return nil, later(http.StatusServiceUnavailable, "the schema registry does not answer, nothing of the request was accepted: "+err.Error())
}

// addReport makes the checks that /v1/telemetry makes. What the attributes say wins over what the data says of the same.
func (t *taking) addReport(index int, e *cloudevents.Event) *cloudevents.Refusal {
	g, w := t.gateway, t.work
	limits, told := g.limits(w.now), schemas.TimeOf(w.now)
	switch {
	case len(e.ID) > limits.Word:
		return refusalOf("id", fmt.Sprintf("is %d bytes long, a report's may have %d", len(e.ID), limits.Word))
	case len(e.Source) > limits.Word:
		return refusalOf("source", fmt.Sprintf("is %d bytes long, a report's may have %d", len(e.Source), limits.Word))
	}
	if !e.Time.IsZero() {
		if told = schemas.TimeOf(e.Time); told < limits.Oldest || told > limits.Newest {
			return refusalOf("time", "is too long ago or too far in the future for a report")
		}
	}
	if data := bytes.TrimLeft(e.Data, " \t\r\n"); len(data) == 0 || data[0] != '{' {
		return refusalOf("data", "a report is an object")
	}
	w.scanner.Start(e.Data, jsonscan.Document, limits, told)
	_, refusal := w.scanner.Next(&w.report)
	if refusal != nil {
		return refusalOf(strings.TrimSuffix("data."+refusal.Field, "."), refusal.Reason)
	}
	var second schemas.TelemetryReported
	if more, _ := w.scanner.Next(&second); more {
		return refusalOf("data", "holds more than one report")
	}
	g.metrics.unknown.Add(float64(w.scanner.Unknown))
	w.report.EventID, w.report.Origin, w.report.ReceivedTime = e.ID, e.Source, schemas.TimeOf(w.now)
	if !e.Time.IsZero() {
		w.report.EventTime = told
	}
	g.add(w, index, &w.report, originEvents, t.positions)
	return nil
}

// versionOf reads a dataschema: REGISTRY/schemas/ids/ID or REGISTRY/subjects/TYPE/versions/VERSION, or the id alone.
func versionOf(subject, dataschema string) (eventlog.Version, *cloudevents.Refusal) {
	wrong := refusalOf("dataschema", "names no schema of the registry; leave it out, or write .../schemas/ids/ID or .../subjects/"+subject+"/versions/VERSION")
	parsed, err := url.Parse(dataschema)
	if err != nil {
		return eventlog.Version{}, wrong
	}
	parts := strings.Split(strings.Trim(parsed.Path, "/"), "/")
	number, err := strconv.ParseInt(parts[len(parts)-1], 10, 32)
	if err != nil || number < 1 {
		return eventlog.Version{}, wrong
	}
	before := parts[:len(parts)-1]
	switch n := len(before); {
	case n == 0, n >= 2 && before[n-2] == "schemas" && before[n-1] == "ids":
		return eventlog.Version{ID: int(number)}, nil
	case n >= 3 && before[n-3] == "subjects" && before[n-2] == subject && before[n-1] == "versions":
		return eventlog.Version{Number: int(number)}, nil
	}
	return eventlog.Version{}, wrong
}
