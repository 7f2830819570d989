package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

// maxKey bounds an Idempotency-Key in bytes.
const maxKey = 128

// idempotencyKey returns the key that a request brings, with or without the quotes of the draft that defines the header; empty
// if it brings none.
func idempotencyKey(r *http.Request) (string, *problem) {
	key := r.Header.Get("Idempotency-Key")
	if n := len(key); n > 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
	}
	switch {
	case len(key) > maxKey:
		return "", newProblem(http.StatusBadRequest, fmt.Sprintf("the Idempotency-Key is %d bytes long, %d are allowed", len(key), maxKey))
	case jsonscan.HasControl(key) || strings.ToValidUTF8(key, "") != key:
		return "", newProblem(http.StatusBadRequest, "the Idempotency-Key holds a control character or is not valid UTF-8")
	}
	return key, nil
}

// identify gives a report an event id if it has none, and tells whether the id is its sender's own: told, or made of the
// request's Idempotency-Key and the report's place in it.
func (w *work) identify(index int, r *schemas.TelemetryReported) (own bool) {
	switch {
	case r.EventID != "":
		return true
	case w.key != "":
		r.EventID = w.key + "#" + strconv.Itoa(index)
		return true
	}
	r.EventID = w.ids.next(w.now)
	return false
}

// addOwn adds a report with an id of its sender's own, unless the log is known to have it.
func (g *Gateway) addOwn(w *work, added item, r *schemas.TelemetryReported) error {
	w.recordKey = r.AppendKey(w.recordKey[:0])
	added.id = duplicates.Identify(w.recordKey, []byte(eventlog.SourceOf(&r.Envelope)), []byte(r.EventID))
	if added.partition, added.original, added.repeated = g.retries.known(w.recordKey, added.id); added.repeated {
		w.repeats = append(w.repeats, added)
		return nil
	}
	if err := w.batch.AddRetryable(r); err != nil {
		return err
	}
	w.items = append(w.items, added)
	w.own++
	return nil
}

// decide notes which of the reports that were just appended repeat another, and counts.
func (g *Gateway) decide(ctx context.Context, w *work, origin string, results []eventlog.Result) {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.RetryWait)
	defer cancel()
	for i := range results { // all at once: the first of a partition's takes a while
		if w.items[i].own && results[i].Err == nil {
			g.retries.begin(results[i].Partition)
		}
	}
	for i := range results {
		it := &w.items[i]
		if !it.own || results[i].Err != nil {
			continue
		}
		var sure bool
		it.partition = results[i].Partition
		if it.original, it.repeated, sure = g.retries.decided(ctx, results[i].Position, it.id); !sure && !g.cfg.SilentRetries {
			g.metrics.undecided.Inc()
		}
	}
	g.metrics.duplicates.WithLabelValues(origin).Add(float64(w.duplicates()))
}

// duplicates counts the reports that the log had before.
func (w *work) duplicates() int {
	n := len(w.repeats)
	for i := range w.items {
		if w.items[i].repeated {
			n++
		}
	}
	return n
}
