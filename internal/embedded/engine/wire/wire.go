// Package wire speaks ClickHouse's HTTP protocol in front of the embedded engine, so that curl, clickhouse-go, Grafana's data
// source and Fieldlog itself use it as they use a ClickHouse server.
//
// Covered: GET and POST /, /ping, /replicas_status; the query in the URL, the body or both; database, settings and
// param_ parameters; default_format and X-ClickHouse-Format; Content-Encoding and Accept-Encoding gzip; ClickHouse's own
// compression (compress, decompress); user and password; exceptions with ClickHouse's codes and statuses; Native answers
// at the client's protocol revision.
//
// Differences from a server, each answered clearly:
//
//   - An INSERT's data is received whole, within a bound, before the engine sees it: a client that goes away half way has
//     inserted nothing.
//   - An answer is held in memory, within a bound, before it is sent: a failing query never gives a 200.
//   - Sessions (session_id) are refused.
//   - A query runs on when its client goes away.
package wire

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// Engine runs statements. *chdb.DB is one.
type Engine interface {
	Borrow(ctx context.Context, database string, settings []chdb.Setting) (*chdb.Conn, error)
	Return(c *chdb.Conn)
	Version() string
}

// Config bounds the handler. The zero value of a field means its default.
type Config struct {
	// User and Password are required of every request if Password is set. User defaults to "default".
	User, Password string
	// MaxBody bounds a request's body after decompression. Default 512 MiB.
	MaxBody int64
	// MaxResult bounds an answer. Default 1 GiB.
	MaxResult int64
}

// Handler answers ClickHouse's HTTP protocol.
type Handler struct {
	cfg    Config
	engine Engine
	logger *slog.Logger
	mux    *http.ServeMux
}

// New returns a handler in front of engine.
func New(cfg Config, engine Engine, logger *slog.Logger) *Handler {
	if cfg.User == "" {
		cfg.User = "default"
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 512 << 20
	}
	if cfg.MaxResult == 0 {
		cfg.MaxResult = 1 << 30
	}
	h := &Handler{cfg: cfg, engine: engine, logger: logger, mux: http.NewServeMux()}
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
	if err := h.answer(w, r); err != nil {
		h.refuse(w, err)
	}
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead {
		return &failure{http.StatusNotImplemented, "Code: 48. DB::Exception: only GET, HEAD and POST are served. (NOT_IMPLEMENTED)"}
	}
	if !h.allowed(r) {
		return &failure{http.StatusUnauthorized, "Code: 516. DB::Exception: user or password is wrong. (AUTHENTICATION_FAILED)"}
	}
	req, err := h.parse(r)
	if err != nil {
		return err
	}
	if req.text == "" {
		fmt.Fprint(w, "Ok.\n")
		return nil
	}
	conn, err := h.engine.Borrow(r.Context(), req.database, req.settings)
	if err != nil {
		return err
	}
	result, format, err := run(conn, req)
	h.engine.Return(conn)
	if err != nil {
		return err
	}
	if int64(len(result.Data)) > h.cfg.MaxResult {
		return &failure{http.StatusInternalServerError, fmt.Sprintf("Code: 396. DB::Exception: the result has %d bytes, %d are allowed. (TOO_MANY_ROWS_OR_BYTES)", len(result.Data), h.cfg.MaxResult)}
	}
	return h.send(w, req, result, format)
}

// run gives the statement to the engine and says which format the answer has.
func run(conn *chdb.Conn, req *request) (chdb.Result, string, error) {
	s := scan(req.text)
	if s.insert && !s.selects && (s.format != "" || len(req.data) > 0) {
		result, err := conn.Insert(s.head, s.dataFormat(), append(s.tail, req.data...))
		return result, "", err
	}
	format := s.format
	if format == "" {
		format = req.format
	}
	result, err := conn.Query(req.text, format, req.params)
	return result, format, err
}

func (h *Handler) allowed(r *http.Request) bool {
	if h.cfg.Password == "" {
		return true
	}
	user, password, _ := r.BasicAuth()
	if q := r.URL.Query(); q.Has("user") || q.Has("password") {
		user, password = q.Get("user"), q.Get("password")
	}
	if r.Header.Get("X-ClickHouse-User") != "" || r.Header.Get("X-ClickHouse-Key") != "" {
		user, password = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	}
	if user == "" {
		user = "default"
	}
	return same(user, h.cfg.User) && same(password, h.cfg.Password)
}

// same compares in constant time, whatever the lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// failure is a refusal of the handler itself, in the engine's words.
type failure struct {
	status int
	text   string
}

func (f *failure) Error() string { return f.text }

func (h *Handler) refuse(w http.ResponseWriter, err error) {
	status, text := http.StatusInternalServerError, err.Error()
	var own *failure
	var exception *chdb.Error
	switch {
	case errors.As(err, &own):
		status = own.status
	case errors.As(err, &exception):
		status = statusOf(codeOf(exception.Text))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		status, text = http.StatusServiceUnavailable, "Code: 202. DB::Exception: too many queries wait. (TOO_MANY_SIMULTANEOUS_QUERIES)"
	default:
		text = "Code: 1000. DB::Exception: " + text
		h.logger.Warn("failed to answer a query", "error", err)
	}
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(codeOf(text)))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
