package wire

import (
	"compress/gzip"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// closed is an engine that opens no connection.
type closed struct{}

func (closed) Connect(string) (*chdb.Conn, error) { return nil, chdb.ErrClosed }
func (closed) Kill(string) error                  { return chdb.ErrClosed }

func handler(cfg Config) *Handler { return New(cfg, closed{}, slog.New(slog.DiscardHandler)) }

func TestBodiesAreBounded(t *testing.T) {
	h := handler(Config{MaxBody: 10_000, MaxBodies: 20_000})
	f := func(body io.Reader, want int, headers ...string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/", body)
		if len(headers) == 2 {
			r.Header.Set(headers[0], headers[1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want || w.Header().Get("X-ClickHouse-Exception-Code") == "" {
			t.Errorf("got %d %q, want %d", w.Code, w.Body, want)
		}
		if free := h.memory.free.Load(); free != 20_000 {
			t.Errorf("%d of 20,000 bytes are free after a request", free)
		}
	}
	long := "SELECT '" + strings.Repeat("x", 9_900) + "'"
	f(strings.NewReader(long), http.StatusServiceUnavailable) // within the bounds: the engine is closed
	f(strings.NewReader(long+long), http.StatusRequestEntityTooLarge)
	f(io.MultiReader(strings.NewReader(long), strings.NewReader(long)), http.StatusRequestEntityTooLarge) // of unknown length
	f(broken{}, http.StatusBadRequest)
	bomb, w := io.Pipe()
	go func() {
		zip := gzip.NewWriter(w)
		_, err := zip.Write(make([]byte, 50<<20))
		w.CloseWithError(errors.Join(err, zip.Close()))
	}()
	f(bomb, http.StatusRequestEntityTooLarge, "Content-Encoding", "gzip")
}

// broken is a client that goes away.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestOverload has one request wait with half a body, which fills what there is for all.
func TestOverload(t *testing.T) {
	f := func(cfg Config, wantCode string) {
		t.Helper()
		h := handler(cfg)
		server := httptest.NewServer(h)
		defer server.Close()
		body, w := io.Pipe()
		first := make(chan error, 1)
		go func() {
			req, err := http.NewRequest(http.MethodPost, server.URL, body)
			if err == nil {
				req.ContentLength = 3_000
				var resp *http.Response
				if resp, err = http.DefaultClient.Do(req); err == nil {
					err = resp.Body.Close()
				}
			}
			first <- err
		}()
		if _, err := w.Write(make([]byte, 1_000)); err != nil { // returns when the server takes it
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); h.memory.free.Load() == cfg.MaxBodies; {
			if time.Now().After(deadline) {
				t.Fatal("the first request is not read")
			}
		}
		resp, err := http.Post(server.URL, "", strings.NewReader(strings.Repeat("x", 2_000)))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || resp.Header.Get("X-ClickHouse-Exception-Code") != wantCode {
			t.Errorf("got %d %v, want code %s", resp.StatusCode, resp.Header, wantCode)
		}
		if _, err := w.Write(make([]byte, 2_000)); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if err := <-first; err != nil {
			t.Error(err)
		}
	}
	f(Config{MaxRequests: 1, MaxBodies: 10_000}, "202")
	f(Config{MaxRequests: 9, MaxBodies: 4_000}, "241")
}

func TestPlain(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if got := plain(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	f("Code: 60. DB::Exception: gone. (UNKNOWN_TABLE)", "Code: 60. DB::Exception: gone. (UNKNOWN_TABLE)")
	f("Error: Code: 27. DB::Exception: Code: 27. DB::Exception: Code: 27. DB::Exception: bad", "Code: 27. DB::Exception: bad")
	f("", "")
}
