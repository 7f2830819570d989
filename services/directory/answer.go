package directory

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// Client is a client as it is shown.
type Client struct {
	Client     string    `json:"client"`
	Registered time.Time `json:"registered,omitzero"`
	// Version counts the facts about the client.
	Version int32   `json:"version"`
	TraceID string  `json:"trace_id,omitempty"`
	Orders  []Order `json:"orders"`
	// History is what was told of the client, oldest first, where it was asked for.
	History []Told `json:"history,omitempty"`
}

// Order is an order as it is shown.
type Order struct {
	OrderID     string            `json:"order_id"`
	Client      string            `json:"client"`
	Namespace   string            `json:"namespace"`
	Environment string            `json:"environment"`
	Archtype    string            `json:"archtype"`
	Hardware    string            `json:"hardware"`
	Product     string            `json:"product"`
	Parameters  map[string]string `json:"parameters,omitempty"`

	Version     int32               `json:"version"`
	Status      schemas.OrderStatus `json:"status"`
	TraceID     string              `json:"trace_id,omitempty"`
	RequestedBy string              `json:"requested_by,omitempty"`
	Placed      time.Time           `json:"placed,omitzero"`
	Updated     time.Time           `json:"updated,omitzero"`
	Told        time.Time           `json:"told,omitzero"`

	ProvisionedVersion int32     `json:"provisioned_version"`
	Backend            string    `json:"backend,omitempty"`
	Step               int32     `json:"step"`
	Steps              int32     `json:"steps"`
	StepName           string    `json:"step_name,omitempty"`
	Reason             string    `json:"reason,omitempty"`
	Detail             string    `json:"detail,omitempty"`
	Attempt            int32     `json:"attempt"`
	NextTry            time.Time `json:"next_try,omitzero"`
}

// Told is an input or a fact about a client.
type Told struct {
	Kind      string          `json:"kind"`
	Topic     string          `json:"topic"`
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Recorded  time.Time       `json:"recorded"`
	Event     json.RawMessage `json:"event"`
}

func shownClient(s *schemas.ClientState) Client {
	c := Client{Client: s.Client, Registered: shownTime(s.Registered), Version: s.Version, TraceID: s.TraceID, Orders: make([]Order, 0, len(s.Orders))}
	for i := range s.Orders {
		c.Orders = append(c.Orders, shownOrder(s.Client, &s.Orders[i]))
	}
	return c
}

func shownOrder(client string, o *schemas.OrderState) Order {
	shown := Order{
		OrderID: o.OrderID, Client: client, Namespace: o.Namespace, Environment: o.Environment, Archtype: o.Archtype,
		Hardware: o.Hardware, Product: o.Product, Version: o.Version, Status: o.Status, TraceID: o.TraceID, RequestedBy: o.RequestedBy,
		Placed: shownTime(o.Placed), Updated: shownTime(o.Updated), Told: shownTime(o.Told), ProvisionedVersion: o.ProvisionedVersion,
		Backend: o.Backend, Step: o.Step, Steps: o.Steps, StepName: o.StepName, Reason: o.Reason, Detail: o.Detail, Attempt: o.Attempt,
		NextTry: shownTime(o.NextTry),
	}
	if len(o.Parameters) > 0 {
		shown.Parameters = make(map[string]string, len(o.Parameters))
		for _, p := range o.Parameters {
			shown.Parameters[p.Name] = p.Value
		}
	}
	return shown
}

func shownTime(t schemas.Time) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return t.Time()
}

// problem is an answer that is no success (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(w http.ResponseWriter, status int, detail string) {
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	write(w, status, "application/problem+json", problem{"about:blank", http.StatusText(status), status, detail})
}

func write(w http.ResponseWriter, status int, contentType string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that went away cannot be told
}

// tagged answers with a version as the ETag, for If-Match. Where the version tells everything that is shown, an asker who has it
// already is told so.
func tagged(w http.ResponseWriter, r *http.Request, version int32, whole bool, v any) {
	tag := `"` + strconv.Itoa(int(version)) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	if whole && r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, http.StatusOK, "application/json", v)
}
