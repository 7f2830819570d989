// Package wire speaks ClickHouse's HTTP protocol in front of the embedded engine, so that curl, clickhouse-go, Grafana's data
// source and Fieldlog itself use it as they use a ClickHouse server.
//
// Covered: GET, HEAD and POST /, /ping, /replicas_status; the query in the URL, the body or both; database, settings and
// param_ parameters; default_format and X-ClickHouse-Format; Content-Encoding gzip, deflate, zstd, lz4 and br;
// Accept-Encoding gzip; ClickHouse's own compression (compress, decompress); user and password; exceptions with
// ClickHouse's codes and statuses; Native answers at the client's protocol revision.
//
// Promises:
//
//   - A request has a connection of the engine for itself: settings, USE and temporary tables end with it.
//   - An INSERT's data is received whole, within a bound, before the engine sees it: a client that goes away half way has
//     inserted nothing.
//   - A SELECT in a format without header and footer (Native, TSV, CSV, JSONEachRow, RowBinary and their like) is sent
//     piece by piece, at the pace of the client, in bounded memory; any other answer is held whole, within a bound. A
//     failure before the first mebibyte gives its own status; a later one breaks the connection off.
//   - A SELECT ends when its client goes away. What changes tables runs to its end.
//   - GET and HEAD change nothing (readonly=2, as in ClickHouse), and a page of another origin can make a browser change
//     nothing either.
//   - Requests, statements that run, bodies in memory and answers are bounded, inserts apart from queries; what is too
//     much is refused at once with TOO_MANY_SIMULTANEOUS_QUERIES or MEMORY_LIMIT_EXCEEDED.
//
// Differences from a server: sessions (session_id) and multipart bodies are refused; INTO OUTFILE and FROM INFILE are refused, but table
// functions such as file() reach what the process may reach; X-ClickHouse-Query-Id is not the engine's own; log_comment
// is overwritten; types Dynamic, AggregateFunction and those made of them cannot be sent in Native to a client with a
// protocol revision: cast them.
package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// Engine opens connections. *chdb.DB is one.
type Engine interface {
	// Connect opens a connection, which Kill finds by the tag.
	Connect(tag string) (*chdb.Conn, error)
	// Kill ends what runs on the connections with the tag.
	Kill(tag string) error
}

// Config bounds the handler. The zero value of a field means its default.
type Config struct {
	// User and Password are required of every request if Password is set. User defaults to "default".
	User, Password string
	// MaxRequests bounds the requests that are served or wait. Default 256.
	MaxRequests int
	// Queries and Inserts bound the statements that run at once. Default 8 and 4.
	Queries, Inserts int
	// MaxBody bounds a request's body after decompression. Default 512 MiB.
	MaxBody int64
	// MaxBodies bounds all bodies in memory together. Default 1 GiB.
	MaxBodies int64
	// MaxResult bounds an answer that is held whole; a query with such an answer may use twice as much memory, unless it
	// says otherwise (max_memory_usage). Default 256 MiB.
	MaxResult int64
}

func (c Config) withDefaults() Config {
	set(&c.User, "default")
	set(&c.MaxRequests, 256)
	set(&c.Queries, 8)
	set(&c.Inserts, 4)
	set(&c.MaxBody, 512<<20)
	set(&c.MaxBodies, 1<<30)
	set(&c.MaxResult, 256<<20)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Handler answers ClickHouse's HTTP protocol.
type Handler struct {
	cfg      Config
	engine   Engine
	logger   *slog.Logger
	mux      *http.ServeMux
	origins  *http.CrossOriginProtection
	requests chan struct{}
	queries  chan struct{}
	inserts  chan struct{}
	memory   budget
	buffers  sync.Pool // of *[]byte, for bodies
}

// New returns a handler in front of engine.
func New(cfg Config, engine Engine, logger *slog.Logger) *Handler {
	cfg = cfg.withDefaults()
	h := &Handler{
		cfg: cfg, engine: engine, logger: logger, mux: http.NewServeMux(), origins: http.NewCrossOriginProtection(),
		requests: make(chan struct{}, cfg.MaxRequests),
		queries:  make(chan struct{}, cfg.Queries),
		inserts:  make(chan struct{}, cfg.Inserts),
	}
	h.memory.free.Store(cfg.MaxBodies)
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Ok.\n") }
	h.mux.HandleFunc("GET /ping", ok)
	h.mux.HandleFunc("GET /replicas_status", ok)
	h.mux.HandleFunc("/{$}", h.root)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-ClickHouse-Server-Display-Name", "fieldlog")
	w.Header().Set("X-ClickHouse-Timezone", "UTC")
	h.mux.ServeHTTP(w, r)
}

func (h *Handler) root(w http.ResponseWriter, r *http.Request) {
	select {
	case h.requests <- struct{}{}:
		defer func() { <-h.requests }()
	default:
		h.refuse(w, errBusy)
		return
	}
	if err := h.serve(w, r); err != nil {
		h.refuse(w, err)
	}
}

// serve answers a request. An error that it returns has not been answered.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		return &failure{http.StatusNotImplemented, 48, "only GET, HEAD and POST are served. (NOT_IMPLEMENTED)"}
	}
	if err := h.origins.Check(r); err != nil {
		return &failure{http.StatusForbidden, 497, "a page of another origin may not change anything here. (ACCESS_DENIED)"}
	}
	if err := h.authenticate(r); err != nil {
		return err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return &failure{http.StatusNotImplemented, 48, "external data in multipart bodies is not served; put it into a table. (NOT_IMPLEMENTED)"}
	}
	req, err := parse(r)
	if err != nil {
		return err
	}
	w.Header().Set("X-ClickHouse-Query-Id", req.id)
	body, err := h.readBody(w, r, req.unpack)
	if err != nil {
		return err
	}
	defer h.release(body)
	s, err := split(req.query, body.data)
	if err != nil {
		return err
	}
	if s.first == "" {
		fmt.Fprint(w, "Ok.\n")
		return nil
	}
	return h.run(w, r, req, &s)
}

// failure is a refusal of the handler itself.
type failure struct {
	status, code int
	text         string
}

// Error implements error, in the engine's words.
func (f *failure) Error() string { return fmt.Sprintf("Code: %d. DB::Exception: %s", f.code, f.text) }

var errBusy = &failure{http.StatusServiceUnavailable, 202, "too many requests are served already, try again. (TOO_MANY_SIMULTANEOUS_QUERIES)"}

// refuse answers with an error, if nothing was answered yet.
func (h *Handler) refuse(w http.ResponseWriter, err error) {
	status, text := http.StatusInternalServerError, plain(err.Error())
	var own *failure
	var exception *chdb.Error
	switch {
	case errors.As(err, &own):
		status = own.status
	case errors.As(err, &exception):
		status = statusOf(codeOf(text))
	case errors.Is(err, chdb.ErrClosed), errors.Is(err, context.Canceled):
		status, text = http.StatusServiceUnavailable, "Code: 236. DB::Exception: the engine is shutting down. (ABORTED)"
	default:
		text = "Code: 1001. DB::Exception: " + text + ". (STD_EXCEPTION)"
		h.logger.Warn("failed to answer a query", "error", err)
	}
	header := w.Header()
	header.Set("X-ClickHouse-Exception-Code", strconv.Itoa(codeOf(text)))
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	switch status {
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", "1")
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
