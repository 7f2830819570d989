package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// problem is an answer that is no success: a problem document (RFC 9457).
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	Accepted int         `json:"accepted"`
	Refused  int         `json:"refused"`
	TraceID  string      `json:"trace_id,omitempty"`
	Errors   []itemError `json:"errors,omitempty"`

	// Reason and Version are those of an order that was not taken: a word of a closed list, and the order's version now.
	Reason  string `json:"reason,omitempty"`
	Version int32  `json:"version,omitempty"`

	retryAfter int // seconds; 0 leaves the header out
}

// itemError says what is wrong with one item of a request.
type itemError struct {
	// Index counts the items of the request from 0.
	Index  int    `json:"index"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// Error implements error.
func (p *problem) Error() string { return p.Detail }

// newProblem names its kind by the status, as RFC 9457 does with about:blank.
func newProblem(status int, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// later is a problem that passes: the client should try again after a second.
func later(status int, detail string) *problem {
	p := newProblem(status, detail)
	p.retryAfter = 1
	return p
}

func (p *problem) write(w http.ResponseWriter) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(w, p.Status, "application/problem+json", p)
}

func writeJSON(w http.ResponseWriter, status int, contentType string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte(`{"type":"about:blank","title":"Internal Server Error","status":500}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // a client that went away cannot be told
}
