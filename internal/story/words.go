package story

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Words say what an event means to a person.
type Words struct {
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	Tone   Tone   `json:"-"`
	// Client, OrderID and TraceID are whom and what it is about.
	Client  string `json:"client,omitempty"`
	OrderID string `json:"order_id,omitempty"`
	TraceID string `json:"-"`
	// Attempt counts the tries before.
	Attempt int32 `json:"attempt,omitempty"`
}

// Tone tells good news from bad. The list is closed.
type Tone string

// The tones.
const (
	Quiet Tone = "quiet"
	Busy  Tone = "busy"
	Good  Tone = "good"
	Bad   Tone = "bad"
)

// fields are what the words are made of, of any kind of event.
type fields struct {
	TraceID     string    `json:"trace_id"`
	Attempt     int32     `json:"attempt"`
	OrderID     string    `json:"order_id"`
	Client      string    `json:"client"`
	Namespace   string    `json:"namespace"`
	Environment string    `json:"environment"`
	Hardware    string    `json:"hardware"`
	Product     string    `json:"product"`
	Version     int32     `json:"version"`
	RequestedBy string    `json:"requested_by"`
	Action      string    `json:"action"`
	Reason      string    `json:"reason"`
	Detail      string    `json:"detail"`
	State       string    `json:"state"`
	Step        any       `json:"step"` // a number, or the name of an effect's step
	Steps       int32     `json:"steps"`
	StepName    string    `json:"step_name"`
	NextTry     time.Time `json:"next_try"`
	Backend     string    `json:"backend"`
	Effector    string    `json:"effector"`
	By          string    `json:"by"`
	Why         string    `json:"why"`
	Notice      string    `json:"notice"`
	Operator    string    `json:"operator"`
	Topic       string    `json:"topic"`
	EventType   string    `json:"event_type"`
}

// Describe says what an event, as JSON of its schema, means. An event of a kind it does not know has its kind as the title.
func Describe(kind string, event []byte) Words {
	var f fields
	_ = json.Unmarshal(event, &f) // what does not fit is left out: the event itself is shown beside the words
	w := Words{Tone: Quiet, Client: f.Client, OrderID: f.OrderID, TraceID: f.TraceID, Attempt: f.Attempt}
	switch {
	case strings.HasPrefix(kind, "order."), kind == "client.registered":
		f.ordered(kind, &w)
	case strings.HasPrefix(kind, "provisioning."):
		f.provisioned(kind, &w)
	case kind == "effect.recorded":
		w.Title, w.Detail = fmt.Sprintf("Effect %v: %s", f.Step, f.State), joined(by(f.Effector), f.Detail)
		if f.State == "failed" {
			w.Tone = Bad
		}
	case kind == "notification.raised":
		w.Title, w.Detail, w.Tone = "Notification: "+strings.ReplaceAll(f.Notice, "_", " "), joined(f.Reason, f.Detail), Bad
	case strings.HasPrefix(kind, "deadletter"):
		f.letter(kind, &w)
	default:
		w.Title = kind
	}
	return w
}

func (f *fields) ordered(kind string, w *Words) {
	terms := joined(f.Product, f.Environment, f.Hardware, labelled("namespace", f.Namespace))
	switch kind {
	case "client.registered":
		w.Title = "Client registered"
	case "order.placed":
		w.Title, w.Detail = "Ordered", joined(terms, by(f.RequestedBy))
	case "order.change.requested":
		w.Title, w.Detail = "Change asked for", joined(terms, by(f.RequestedBy))
	case "order.cancel.requested":
		w.Title, w.Detail = "Cancellation asked for", joined(f.Reason, by(f.RequestedBy))
	case "order.accepted":
		w.Title, w.Detail, w.Tone = "Accepted", joined(terms, fmt.Sprintf("version %d", f.Version)), Good
	case "order.changed":
		w.Title, w.Detail, w.Tone = "Changed", joined(terms, fmt.Sprintf("version %d", f.Version)), Good
	case "order.cancelled":
		w.Title, w.Detail = "Cancelled", joined(f.Reason, by(f.RequestedBy))
	case "order.rejected":
		w.Title, w.Detail, w.Tone = "Rejected", joined(f.Detail, by(f.RequestedBy)), Bad
	default:
		w.Title = kind
	}
}

func (f *fields) provisioned(kind string, w *Words) {
	if kind == "provisioning.intervened" {
		w.Title, w.Detail, w.Tone = "Operator: "+f.Action, joined(f.Why, by(f.By)), Busy
		return
	}
	progress := ""
	if f.Steps > 0 {
		progress = fmt.Sprintf("step %v of %d", f.Step, f.Steps)
	}
	w.Tone = Busy
	switch f.State {
	case "requested":
		w.Title, w.Detail = "Provisioning requested", joined(fmt.Sprintf("version %d", f.Version), labelled("on", f.Backend))
	case "started":
		w.Title, w.Detail = "Provisioning started", joined(progress, labelled("on", f.Backend))
	case "step":
		w.Title, w.Detail = "Step done: "+f.StepName, progress
	case "succeeded":
		w.Title, w.Detail, w.Tone = "Ready", joined(progress, labelled("namespace", f.Namespace)), Good
	case "failed":
		w.Title, w.Detail, w.Tone = "Failed: "+f.StepName, joined(f.Reason, f.Detail, fmt.Sprintf("attempt %d", f.Attempt+1), f.next()), Bad
	case "abandoned":
		w.Title, w.Detail, w.Tone = "Abandoned", joined(f.Reason, f.Detail), Bad
	case "deprovisioned":
		w.Title, w.Detail, w.Tone = "Removed", joined("nothing runs of it any more", labelled("on", f.Backend)), Quiet
	default:
		w.Title = kind + " " + f.State
	}
}

func (f *fields) letter(kind string, w *Words) {
	switch kind {
	case "deadletter":
		w.Title, w.Detail, w.Tone = "Dead letter: "+f.Reason, joined(labelled("topic", f.Topic), f.Detail), Bad
	case "deadletter.redriven":
		w.Title, w.Detail, w.Tone = "Dead letter redriven", joined(labelled("to", f.Topic), f.Why, by(f.Operator)), Busy
	default:
		w.Title, w.Detail = "Dead letter discarded", joined(f.Why, by(f.Operator))
	}
}

func (f *fields) next() string {
	if f.NextTry.Unix() <= 0 {
		return ""
	}
	return "next try at " + f.NextTry.UTC().Format("15:04:05") + " UTC"
}

func by(who string) string { return labelled("by", who) }

// labelled puts a label before what there is.
func labelled(label, value string) string {
	if value == "" {
		return ""
	}
	return label + " " + value
}

// joined puts what there is between dots.
func joined(parts ...string) string {
	var there []string
	for _, part := range parts {
		if part = strings.TrimSpace(part); part != "" {
			there = append(there, part)
		}
	}
	return strings.Join(there, " · ")
}
