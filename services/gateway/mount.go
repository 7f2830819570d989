package gateway

import (
	"context"
	"net/http"
	"time"
)

// Mount adds a way in that somebody else serves, behind the same access token and counted under an origin. Call it before Run. A
// request's context ends when the gateway begins to drain, so that streams end.
func (g *Gateway) Mount(method, path, origin string, serve http.HandlerFunc) {
	duration := g.metrics.duration.WithLabelValues(origin)
	g.route(method, path, g.guarded(origin, func(w http.ResponseWriter, r *http.Request) int {
		start, noted := time.Now(), &noted{ResponseWriter: w, code: http.StatusOK}
		ctx, stop := context.WithCancel(r.Context())
		defer stop()
		defer context.AfterFunc(g.reading, stop)()
		serve(noted, r.WithContext(ctx))
		if w.Header().Get("Content-Type") != "text/event-stream" {
			duration.Observe(time.Since(start).Seconds())
		}
		return noted.code
	}))
}

// noted remembers the status of an answer.
type noted struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (n *noted) WriteHeader(code int) {
	n.code = code
	n.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }
