package gateway

import (
	_ "embed"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed openapi.json
var openAPI []byte

// handle registers every route.
func (g *Gateway) handle() {
	g.route("POST", "/v1/telemetry", g.counted(originHTTP, g.postTelemetry))
	g.route("POST", "/api/v2/write", g.counted(originInflux, g.postWrite))
	g.route("POST", "/write", g.counted(originInflux, g.postWrite))
	g.route("POST", "/v1/events", g.counted(originEvents, g.postEvents))
	g.route("GET", "/v1/topics/{topic}/events", g.guarded(originReaders, g.getEvents))
	g.route("POST", "/v1/topics/{topic}/groups/{group}/ack", g.counted(originReaders, g.postAck))
	g.route("GET", "/v1/topics/{topic}/groups/{group}", g.counted(originReaders, g.getGroup))
	g.route("DELETE", "/v1/topics/{topic}/groups/{group}", g.counted(originReaders, g.deleteGroup))
	g.route("POST", "/v1/orders", g.counted(originOrders, g.postOrder))
	g.route("PUT", "/v1/orders/{order}", g.counted(originOrders, g.putOrder))
	g.route("DELETE", "/v1/orders/{order}", g.counted(originOrders, g.deleteOrder))
	g.route("POST", "/v1/orders/{order}/retry", g.counted(originOrders, g.postRetry))
	g.route("POST", "/v1/orders/{order}/abandon", g.counted(originOrders, g.postAbandon))
	g.route("GET", "/ping", g.ping)
	g.route("GET", "/health", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, "application/json", map[string]string{"name": "fieldlog", "status": "pass", "message": "ready for writes"})
	})
	g.route("GET", "/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	g.route("GET", "/readyz", g.readyz)
	g.route("GET", "/metrics", promhttp.HandlerFor(g.gatherer, promhttp.HandlerOpts{}).ServeHTTP)
	g.route("GET", "/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI)
	})
	g.mux.HandleFunc("/", g.fallback)
}

func (g *Gateway) route(method, path string, handler http.HandlerFunc) {
	g.routes = append(g.routes, method+" "+path)
	g.mux.HandleFunc(method+" "+path, handler)
}

// originReaders is the way of those who read.
const originReaders = "readers"

// counted asks for the token, and counts and times the request.
func (g *Gateway) counted(origin string, serve func(http.ResponseWriter, *http.Request) int) http.HandlerFunc {
	duration := g.metrics.duration.WithLabelValues(origin)
	guarded := g.guarded(origin, serve)
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		guarded(w, r)
		duration.Observe(time.Since(start).Seconds())
	}
}

// guarded asks for the token, and counts the request.
func (g *Gateway) guarded(origin string, serve func(http.ResponseWriter, *http.Request) int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		code := http.StatusUnauthorized
		if g.allowed(r) {
			code = serve(w, r)
		} else {
			g.unread(w)
			refuseAccess(w, origin)
		}
		g.metrics.requests.WithLabelValues(origin, strconv.Itoa(code)).Inc()
	}
}

func refuseAccess(w http.ResponseWriter, origin string) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="fieldlog"`)
	p := newProblem(http.StatusUnauthorized, "an access token is missing or wrong: send Authorization: Bearer TOKEN")
	if origin == originInflux {
		influxError(w, p)
		return
	}
	p.write(w)
}

// ping answers InfluxDB's clients.
func (g *Gateway) ping(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("X-Influxdb-Build", "fieldlog")
	w.Header().Set("X-Influxdb-Version", "2.7.0")
	w.WriteHeader(http.StatusNoContent)
}

func (g *Gateway) readyz(w http.ResponseWriter, r *http.Request) {
	if g.cfg.Ready != nil {
		if err := g.cfg.Ready(r.Context()); err != nil {
			later(http.StatusServiceUnavailable, "not ready: "+err.Error()).write(w)
			return
		}
	}
	fmt.Fprintln(w, "ready")
}

// fallback answers what no route does: the index, 405 where another method would do, else 404.
func (g *Gateway) fallback(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		fmt.Fprintf(w, "Fieldlog gateway\n\n  %s\n", strings.Join(g.routes, "\n  "))
		return
	}
	g.unread(w)
	if methods := g.methodsAt(r.URL.Path); len(methods) > 0 {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		newProblem(http.StatusMethodNotAllowed, fmt.Sprintf("%s takes %s, not %s", r.URL.Path, strings.Join(methods, " or "), r.Method)).write(w)
		return
	}
	newProblem(http.StatusNotFound, fmt.Sprintf("there is nothing at %q; see /openapi.json", r.URL.Path)).write(w)
}

// methodsAt returns the methods of the routes whose pattern a path fits.
func (g *Gateway) methodsAt(path string) (methods []string) {
	for _, route := range g.routes {
		if method, pattern, _ := strings.Cut(route, " "); fits(path, pattern) {
			methods = append(methods, method)
		}
	}
	return methods
}

// fits tells whether a path is a pattern with something in place of each name in braces.
func fits(path, pattern string) bool {
	have, want := strings.Split(path, "/"), strings.Split(pattern, "/")
	if len(have) != len(want) {
		return false
	}
	for i := range want {
		if named := strings.HasPrefix(want[i], "{"); have[i] != want[i] && (!named || have[i] == "") {
			return false
		}
	}
	return true
}
