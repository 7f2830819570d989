package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
)

const (
	contentType = "application/vnd.schemaregistry.v1+json"
	maxBody     = 4 << 20
)

// ServeHTTP implements http.Handler.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			status = http.StatusRequestEntityTooLarge
		}
		refuse(w, status, status, "cannot read the request: "+err.Error())
		return
	}
	if req.Method == http.MethodGet && req.URL.Path == "/schemas/types" {
		write(w, http.StatusOK, []byte(`["AVRO"]`))
		return
	}
	if strings.HasPrefix(req.URL.Path, "/compatibility/") {
		r.serveCompatibility(w, req, body)
		return
	}
	if !changes(req) {
		r.serveRead(w, req, body)
		return
	}
	r.serveChange(w, req, body)
}

// changes tells whether a request may change anything.
func changes(req *http.Request) bool {
	lookup := req.Method == http.MethodPost && strings.Count(strings.Trim(req.URL.Path, "/"), "/") == 1 // POST /subjects/S
	return req.Method != http.MethodGet && req.Method != http.MethodHead && !lookup
}

func (r *Registry) serveRead(w http.ResponseWriter, req *http.Request, body []byte) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.memory == nil {
		refuse(w, http.StatusServiceUnavailable, 50003, "the registry is reading its topic again")
		return
	}
	uri := *req.URL
	if strings.HasPrefix(uri.Path, "/schemas/ids/") { // the subject only names a context, of which there is one here
		query := uri.Query()
		query.Del("subject")
		uri.RawQuery = query.Encode()
	}
	status, answer := perform(r.memory, req.Method, uri.RequestURI(), body)
	write(w, status, answer)
}

func (r *Registry) serveChange(w http.ResponseWriter, req *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.memory == nil {
		if err := r.load(req.Context()); err != nil {
			r.cfg.Logger.Error("cannot read the registry's topic", "error", err)
			refuse(w, http.StatusServiceUnavailable, 50003, "the registry cannot read its topic: "+err.Error())
			return
		}
	}
	if problem := r.check(req, body); problem != nil {
		refuse(w, problem.status, problem.code, problem.message)
		return
	}
	known := r.known(req, body)
	status, answer := perform(r.memory, req.Method, req.URL.RequestURI(), body)
	if status >= 200 && status < 300 && !known {
		c := change{Method: req.Method, Path: req.URL.RequestURI(), Body: body, Status: status, Answer: answer}
		if err := r.journal.append(req.Context(), c); err != nil {
			r.memory = nil
			r.cfg.Logger.Error("cannot append to the registry's topic", "error", err)
			refuse(w, http.StatusInternalServerError, 50001, "the change was not made durable: "+err.Error())
			return
		}
	}
	write(w, status, answer)
}

// known tells whether a request asks for what is so already, so that it need not be recorded.
func (r *Registry) known(req *http.Request, body []byte) bool {
	path := req.URL.Path
	if req.Method == http.MethodPost && strings.HasSuffix(path, "/versions") {
		status, _ := perform(r.memory, http.MethodPost, strings.TrimSuffix(path, "/versions"), body)
		return status == http.StatusOK
	}
	if req.Method == http.MethodPut && strings.HasPrefix(path, "/config/") {
		_, answer := perform(r.memory, http.MethodGet, path, nil)
		var is struct {
			Level string `json:"compatibilityLevel"`
		}
		var asked struct {
			Level string `json:"compatibility"`
		}
		return json.Unmarshal(answer, &is) == nil && json.Unmarshal(body, &asked) == nil && is.Level == asked.Level && r.explicit(path)
	}
	return false
}

// explicit tells whether a subject has a level of its own.
func (r *Registry) explicit(path string) bool {
	status, _ := perform(r.memory, http.MethodGet, strings.Replace(path, "/config/", "/subjects/", 1)+"/versions", nil)
	return status == http.StatusOK
}

// perform makes a request of the registry in memory.
func perform(memory http.Handler, method, uri string, body []byte) (int, []byte) {
	req := httptest.NewRequestWithContext(context.Background(), method, uri, bytes.NewReader(body))
	req.Header.Set("Content-Type", contentType)
	recorder := httptest.NewRecorder()
	memory.ServeHTTP(recorder, req)
	return recorder.Code, recorder.Body.Bytes()
}

func write(w http.ResponseWriter, status int, answer []byte) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

// refuse answers an error in the registry's JSON.
func refuse(w http.ResponseWriter, status, code int, message string) {
	answer, err := json.Marshal(struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}{code, message})
	if err != nil {
		answer = []byte(`{"error_code":50001,"message":"unknown"}`)
	}
	write(w, status, answer)
}

// sameJSON compares two answers as JSON.
func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return bytes.Equal(a, b)
	}
	return reflect.DeepEqual(x, y)
}
