package wire

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/klauspost/compress/zstd"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// request is what an HTTP request asks of the engine.
type request struct {
	text     string // the statement, from the URL or the body
	data     []byte // what follows the statement: an INSERT's data
	database string
	format   string
	revision int // protocol revision of the client; 0 is none
	compress bool
	gzip     bool
	settings []chdb.Setting
	params   []chdb.Param
}

func (h *Handler) parse(r *http.Request) (*request, error) {
	req := &request{database: r.Header.Get("X-ClickHouse-Database"), format: r.Header.Get("X-ClickHouse-Format")}
	query := r.URL.Query()
	for name, values := range query {
		if err := req.set(name, values[len(values)-1]); err != nil {
			return nil, err
		}
	}
	if req.format == "" {
		req.format = "TabSeparated"
	}
	req.gzip = strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") && !req.compress
	body, err := h.body(r, query.Get("decompress") == "1")
	if err != nil {
		return nil, err
	}
	req.text = query.Get("query")
	if req.text == "" {
		req.text = string(body)
	} else {
		req.data = body
	}
	req.text = strings.TrimRight(strings.TrimSpace(req.text), ";")
	return req, nil
}

// set takes one parameter of the URL: a word of the protocol, a query parameter, or a setting of the engine.
func (req *request) set(name, value string) error {
	switch name {
	case "query", "user", "password", "quota_key", "query_id", "decompress", "wait_end_of_query", "buffer_size",
		"send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression", "role", "close_session":
	case "database":
		req.database = value
	case "default_format":
		req.format = value
	case "client_protocol_version":
		if _, err := fmt.Sscanf(value, "%d", &req.revision); err != nil {
			return &failure{http.StatusBadRequest, fmt.Sprintf("Code: 36. DB::Exception: client_protocol_version %q is no number. (BAD_ARGUMENTS)", value)}
		}
	case "compress":
		req.compress = value == "1"
	case "session_id", "session_timeout", "session_check":
		return &failure{http.StatusNotImplemented, "Code: 48. DB::Exception: the embedded engine has no sessions; put everything into one statement. (NOT_IMPLEMENTED)"}
	default:
		if param, found := strings.CutPrefix(name, "param_"); found {
			req.params = append(req.params, chdb.Param{Name: param, Value: value})
			return nil
		}
		if !isWord(name) {
			return &failure{http.StatusBadRequest, fmt.Sprintf("Code: 115. DB::Exception: %q is no setting. (UNKNOWN_SETTING)", name)}
		}
		req.settings = append(req.settings, chdb.Setting{Name: name, Value: value})
	}
	return nil
}

// isWord keeps anything but a plain name out of the SET statement.
func isWord(name string) bool {
	for i := range len(name) {
		if !isWordByte(name[i]) {
			return false
		}
	}
	return name != ""
}

// body reads the request's body whole: unpacked, and within the bound.
func (h *Handler) body(r *http.Request, native bool) ([]byte, error) {
	var src io.Reader = r.Body
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzip, err := gzip.NewReader(src)
		if err != nil {
			return nil, unreadable(err)
		}
		src = unzip
	case "zstd":
		unzip, err := zstd.NewReader(src, zstd.WithDecoderMaxMemory(1<<30), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, unreadable(err)
		}
		defer unzip.Close()
		src = unzip
	default:
		return nil, &failure{http.StatusUnsupportedMediaType, fmt.Sprintf("Code: 89. DB::Exception: Content-Encoding %q is not served. (UNKNOWN_COMPRESSION_METHOD)", encoding)}
	}
	if native {
		src = untilEnd{compress.NewReader(src)}
	}
	body, err := readAll(src, h.cfg.MaxBody, r.ContentLength)
	if err != nil {
		return nil, err
	}
	return body, nil
}

func readAll(src io.Reader, limit, announced int64) ([]byte, error) {
	body := make([]byte, 0, min(max(announced, 512), limit))
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := src.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			return nil, &failure{http.StatusRequestEntityTooLarge, fmt.Sprintf("Code: 307. DB::Exception: the body has more than %d bytes. (TOO_MANY_BYTES)", limit)}
		}
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			return nil, unreadable(err)
		}
	}
}

func unreadable(err error) error {
	return &failure{http.StatusBadRequest, fmt.Sprintf("Code: 32. DB::Exception: cannot read the request's body: %v. (ATTEMPT_TO_READ_AFTER_EOF)", err)}
}

// untilEnd gives the plain end of file where the block reader wraps it.
type untilEnd struct{ blocks *compress.Reader }

// Read implements io.Reader.
func (u untilEnd) Read(p []byte) (int, error) {
	n, err := u.blocks.Read(p)
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
