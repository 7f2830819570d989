package wire

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// request is what the URL and the headers of an HTTP request ask for.
type request struct {
	id       string // of the query, as the client names it
	query    string
	database string
	format   string
	revision int  // protocol revision of the client; 0 is none
	unpack   bool // the body is in ClickHouse's compressed blocks
	pack     bool // the answer is to be
	gzip     bool // the answer may be
	whole    bool // the answer is sent when it is complete
	readonly bool
	settings []setting
	params   []chdb.Param
}

// setting is a setting of the engine with its value as text.
type setting struct{ name, value string }

func parse(r *http.Request) (*request, error) {
	req := &request{
		id:       r.Header.Get("X-ClickHouse-Query-Id"),
		database: r.Header.Get("X-ClickHouse-Database"),
		format:   r.Header.Get("X-ClickHouse-Format"),
		gzip:     strings.Contains(r.Header.Get("Accept-Encoding"), "gzip"),
		readonly: r.Method != http.MethodPost,
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badArgument("the URL cannot be read: %v", err)
	}
	for name, all := range values {
		if err := req.set(name, all[len(all)-1]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(req.settings, func(a, b setting) int { return cmp.Compare(a.name, b.name) })
	if req.format == "" {
		req.format = "TabSeparated"
	}
	if req.id == "" {
		req.id = uuid.NewString()
	}
	req.gzip = req.gzip && !req.pack
	return req, nil
}

func badArgument(format string, args ...any) error {
	return &failure{http.StatusBadRequest, 36, fmt.Sprintf(format, args...) + ". (BAD_ARGUMENTS)"}
}

// set takes one parameter of the URL: a word of the protocol, a query parameter, or a setting of the engine.
func (req *request) set(name, value string) error {
	switch name {
	case "user", "password", "quota_key", "role", "buffer_size", "close_session", "log_comment",
		"send_progress_in_http_headers", "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close":
	case "query":
		req.query = value
	case "query_id":
		req.id = value
	case "database":
		req.database = value
	case "default_format":
		req.format = value
	case "compress":
		req.pack = isTrue(value)
	case "decompress":
		req.unpack = isTrue(value)
	case "enable_http_compression":
		req.gzip = req.gzip && isTrue(value)
	case "wait_end_of_query":
		req.whole = isTrue(value)
	case "client_protocol_version":
		return req.setRevision(value)
	case "session_id", "session_timeout", "session_check":
		return &failure{http.StatusNotImplemented, 48, "the embedded engine has no sessions; put everything into one statement. (NOT_IMPLEMENTED)"}
	default:
		return req.setOther(name, value)
	}
	return nil
}

func (req *request) setRevision(value string) error {
	revision, err := strconv.Atoi(value)
	if err != nil || revision < 0 {
		return badArgument("client_protocol_version %q is no number", value)
	}
	req.revision = revision
	return nil
}

func (req *request) setOther(name, value string) error {
	if param, found := strings.CutPrefix(name, "param_"); found {
		req.params = append(req.params, chdb.Param{Name: param, Value: value})
		return nil
	}
	if !isName(name) {
		return &failure{http.StatusNotFound, 115, fmt.Sprintf("%q is no setting. (UNKNOWN_SETTING)", name)}
	}
	if name == "readonly" && value != "0" {
		req.readonly = true
	}
	req.settings = append(req.settings, setting{name, value})
	return nil
}

func isTrue(value string) bool { return value == "1" || value == "true" }

// isName keeps anything but a plain name out of the SET statement.
func isName(name string) bool {
	for i := range len(name) {
		if !isWordByte(name[i]) {
			return false
		}
	}
	return name != ""
}

// has tells whether the client gave a setting.
func (req *request) has(name string) bool {
	return slices.ContainsFunc(req.settings, func(s setting) bool { return s.name == name })
}

// prepare is the statement that puts the settings into force, empty if there are none.
func (req *request) prepare(more ...setting) string {
	var set []string
	for _, s := range append(slices.Clone(req.settings), more...) {
		if s.name != "readonly" {
			set = append(set, s.name+" = "+chdb.Quote(s.value, '\''))
		}
	}
	if req.readonly {
		set = append(set, "readonly = 2") // last: it forbids the others
	}
	if len(set) == 0 {
		return ""
	}
	return "SET " + strings.Join(set, ", ")
}
