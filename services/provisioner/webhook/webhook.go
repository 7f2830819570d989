// Package webhook is a backend that asks somebody else: each step is a signed HTTP request.
//
// # The request
//
//	POST <URL>
//	Content-Type: application/json
//	Idempotency-Key: <the same for the same step of the same version>
//	Fieldlog-Timestamp: <seconds since 1970>
//	Fieldlog-Signature: sha256=<hex of HMAC-SHA256 with the secret over "<timestamp>.<body>">
//	traceparent: 00-<trace id>-<span id>-01
//
//	{"action":"do","step":"provision","order":{"id":...,"client":...,"namespace":...,"version":...,"born":...}}
//
// The receiver refuses what is older than what it has made, or removed, of the order (409): it comes from a process that was stopped for
// a while. Older is what has a lower born, or the same and a lower version: an id that is used again, after its order was removed, is
// another order, whose born is greater and whose versions begin with 1. It refuses requests whose signature does not fit or whose timestamp is older than it likes: see [Verify].
//
// # The answer
//
//   - do and remove: 2xx when the effect is there. 202 with Retry-After: it is being worked on, and is asked for again.
//   - check: 2xx with {"done":true} or {"done":false}. It must change nothing.
//   - 409 with {"reason":"namespace_taken"}, or any other 4xx but 408, 425 and 429: refused for ever; {"reason","detail"} are told.
//   - Everything else may pass: it is tried again.
//
// # Secrets
//
// The URL may hold some: a user, a path, a query. Errors, which clients can read, name its scheme and host alone.
package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Config says whom to ask.
type Config struct {
	// URL gets every request. Required. It is told to nobody but its scheme and host.
	URL string
	// Secret signs them. Required; at least 16 bytes.
	Secret []byte
	// Timeout bounds one request. Default 30 s.
	Timeout time.Duration
}

// Validate names the flag to change.
func (c Config) Validate() error {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return errors.New("--webhook-url is no URL of HTTP")
	case len(c.Secret) < 16:
		return errors.New("--webhook-secret is shorter than 16 bytes")
	}
	return nil
}

// Webhook is the backend.
type Webhook struct {
	cfg    Config
	whom   string // the URL without what may be secret
	client *http.Client
}

// New returns the backend, which has asked nobody yet.
func New(cfg Config) (*Webhook, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, bare(err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	return &Webhook{cfg: cfg, whom: u.Scheme + "://" + u.Host, client: &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Name implements backend.Backend.
func (w *Webhook) Name() string { return "webhook" }

// Plan implements backend.Backend.
func (w *Webhook) Plan(backend.Order) []string { return []string{"provision"} }

// Do implements backend.Backend.
func (w *Webhook) Do(ctx context.Context, o backend.Order, step string) error {
	return w.untilDone(ctx, "do", o, step)
}

// Done implements backend.Backend.
func (w *Webhook) Done(ctx context.Context, o backend.Order, step string) (bool, error) {
	said, err := w.ask(ctx, "check", o, step)
	return said.Done, err
}

// Remove implements backend.Backend.
func (w *Webhook) Remove(ctx context.Context, o backend.Order) error {
	return w.untilDone(ctx, "remove", o, "remove")
}

// untilDone asks until the receiver is no longer busy with it.
func (w *Webhook) untilDone(ctx context.Context, action string, o backend.Order, step string) error {
	for {
		said, err := w.ask(ctx, action, o, step)
		if err != nil || said.wait == 0 {
			return err
		}
		timer := time.NewTimer(said.wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// request is what is sent.
type request struct {
	Action string `json:"action"`
	Step   string `json:"step"`
	Order  order  `json:"order"`
}

type order struct {
	ID          string            `json:"id"`
	Client      string            `json:"client"`
	Namespace   string            `json:"namespace"`
	Environment string            `json:"environment"`
	Archtype    string            `json:"archtype"`
	Hardware    string            `json:"hardware"`
	Product     string            `json:"product"`
	Parameters  map[string]string `json:"parameters,omitempty"`
	Version     int32             `json:"version"`
	Born        int64             `json:"born"`
	TraceID     string            `json:"trace_id"`
}

// answer is what comes back.
type answer struct {
	Done   bool   `json:"done"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	wait   time.Duration
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

func (w *Webhook) ask(ctx context.Context, action string, o backend.Order, step string) (answer, error) {
	req, err := w.request(ctx, action, o, step)
	if err != nil {
		return answer{}, fmt.Errorf("ask %s to %s: %w", w.whom, action, bare(err))
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("ask %s to %s: %w", w.whom, action, bare(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("read what %s answers: %w", w.whom, err)
	}
	return w.read(resp, body, action)
}

// bare returns why a request failed without its URL, which net/http and net/url put before it.
func bare(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

func (w *Webhook) request(ctx context.Context, action string, o backend.Order, step string) (*http.Request, error) {
	body, err := json.Marshal(request{Action: action, Step: step, Order: order{
		ID: o.ID, Client: o.Client, Namespace: o.Namespace, Environment: o.Environment, Archtype: o.Archtype,
		Hardware: o.Hardware, Product: o.Product, Parameters: o.Parameters, Version: o.Version, Born: o.Born, TraceID: o.TraceID,
	}})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("%s/%s/%d/%d/%s/%s", o.Client, o.ID, o.Born, o.Version, action, step))
	req.Header.Set(HeaderTimestamp, timestamp)
	req.Header.Set(HeaderSignature, sign(w.cfg.Secret, timestamp, body))
	if o.TraceID != "" {
		req.Header.Set("traceparent", fmt.Sprintf("00-%s-%016x-01", o.TraceID, rand.Uint64()|1))
	}
	return req, nil
}

// read tells what an answer means.
func (w *Webhook) read(resp *http.Response, body []byte, action string) (answer, error) {
	var said answer
	parsed := len(bytes.TrimSpace(body)) == 0 || json.Unmarshal(body, &said) == nil
	status := resp.StatusCode
	switch {
	case status == http.StatusAccepted:
		said.wait = retryAfter(resp)
		return said, nil
	case status/100 == 2 && action == "check" && !parsed:
		return answer{}, fmt.Errorf("%s answers %q, which is no JSON", w.whom, body)
	case status/100 == 2:
		return said, nil
	case status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooEarly && status != http.StatusTooManyRequests:
		if said.Reason == "" {
			said.Reason = "refused"
		}
		return said, backend.Refuse(said.Reason, "%s answers %s: %s", w.whom, resp.Status, said.Detail)
	}
	return said, fmt.Errorf("%s answers %s: %s", w.whom, resp.Status, said.Detail)
}

// retryAfter is when to ask again: from a second to a minute.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil {
		seconds = 1
	}
	return time.Duration(min(max(seconds, 1), 60)) * time.Second
}
