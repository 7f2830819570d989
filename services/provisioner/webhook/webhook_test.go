package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
	"github.com/fieldlog/fieldlog/services/provisioner/webhook"
)

var secret = []byte("a secret of the test, long enough")

// receiver keeps modules in memory, as somebody else's provisioning system would.
type receiver struct {
	t *testing.T

	mu      sync.Mutex
	modules map[string]module
	removed map[string]module // by order
	keys    map[string]bool
	busy    int // so many answers of 202 come first
}

type module struct {
	Client, Order string
	Born          int64
	Version       int
}

// after tells whether what is here is newer than what is asked.
func (m module) after(born int64, version int) bool {
	return m.Born > born || m.Born == born && m.Version > version
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	if err := webhook.Verify(req.Header, body, secret, time.Now(), time.Minute); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	var asked struct {
		Action, Step string
		Order        struct {
			ID, Client, Namespace string
			Version               int
			Born                  int64
		}
	}
	if err := json.Unmarshal(body, &asked); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy > 0 {
		r.busy--
		w.WriteHeader(http.StatusAccepted)
		return
	}
	r.keys[req.Header.Get("Idempotency-Key")] = true
	o := asked.Order
	had, there := r.modules[o.Namespace]
	mine := had.Client == o.Client && had.Order == o.ID
	switch {
	case asked.Action == "check":
		fmt.Fprintf(w, `{"done":%v}`, there && mine && had.Version == o.Version)
	case asked.Action == "remove":
		r.removed[o.ID] = module{o.Client, o.ID, o.Born, o.Version}
		if mine {
			delete(r.modules, o.Namespace)
		}
	case asked.Action == "do" && there && !mine:
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"reason":"namespace_taken","detail":"it is another client's"}`)
	case asked.Action == "do" && (had.after(o.Born, o.Version) || r.removed[o.ID].after(o.Born, o.Version)):
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"reason":"overtaken","detail":"a later version is here"}`)
	case asked.Action == "do":
		r.modules[o.Namespace] = module{o.Client, o.ID, o.Born, o.Version}
	}
}

func start(t *testing.T) (*receiver, *webhook.Webhook) {
	t.Helper()
	r := &receiver{t: t, modules: map[string]module{}, removed: map[string]module{}, keys: map[string]bool{}}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	w, err := webhook.New(webhook.Config{URL: server.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func TestConformance(t *testing.T) {
	r, w := start(t)
	backendtest.Run(t, w, func(namespace string) string {
		r.mu.Lock()
		defer r.mu.Unlock()
		if m, there := r.modules[namespace]; there {
			return fmt.Sprint(m)
		}
		return ""
	})
}

func TestTheSameStepHasTheSameKey(t *testing.T) {
	r, w := start(t)
	o := backendtest.Order("c", "n")
	for range 3 {
		if err := w.Do(t.Context(), o, "provision"); err != nil {
			t.Fatal(err)
		}
	}
	o.Version = 2
	if err := w.Do(t.Context(), o, "provision"); err != nil {
		t.Fatal(err)
	}
	if len(r.keys) != 2 {
		t.Errorf("got keys %v, want one a version", r.keys)
	}
}

// TestAnIDThatIsUsedAgain makes an order, removes it, and makes another one with its id. What comes late of the first is refused.
func TestAnIDThatIsUsedAgain(t *testing.T) {
	_, w := start(t)
	first := backendtest.Order("c", "n")
	first.Born, first.Version = 10, 2
	removal, second := first, first
	removal.Version = 3
	second.Born, second.Version = 300, 1
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	do("make the first", w.Do(t.Context(), first, "provision"))
	do("remove it", w.Remove(t.Context(), removal))
	do("make the second", w.Do(t.Context(), second, "provision"))
	if err := w.Do(t.Context(), first, "provision"); err == nil {
		t.Error("the first was made over the second")
	}
}

// TestTheURLIsASecret lets every kind of answer, and none, fail: what is told names the host alone.
func TestTheURLIsASecret(t *testing.T) {
	f := func(address string) {
		t.Helper()
		w, err := webhook.New(webhook.Config{URL: address, Secret: secret})
		if err == nil {
			o := backendtest.Order("c", "n")
			err = w.Do(t.Context(), o, "provision")
			_, looked := w.Done(t.Context(), o, "provision")
			err = errors.Join(err, looked)
		}
		if err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("got %q, want an error that hides the URL", err)
		}
	}
	g := func(answer http.HandlerFunc) {
		t.Helper()
		server := httptest.NewServer(answer)
		defer server.Close()
		f(strings.Replace(server.URL, "http://", "http://hidden:hidden@", 1) + "/hidden?token=hidden")
	}
	g(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	g(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	g(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "no JSON") })
	g(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	g(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100") // more than comes
	})
	f("http://hidden:hidden@127.0.0.1:1/hidden?token=hidden")
	f("ftp://hidden:hidden@host/hidden")
	f("http://host:hidden/%zz")
}

func TestABusyReceiverIsAskedAgain(t *testing.T) {
	r, w := start(t)
	r.busy = 1
	o := backendtest.Order("c", "n")
	if err := w.Do(t.Context(), o, "provision"); err != nil || len(r.modules) != 1 {
		t.Errorf("got %v and %v", err, r.modules)
	}
}

func TestAnswers(t *testing.T) {
	f := func(status int, body, reason string, fails bool) {
		t.Helper()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		defer server.Close()
		w, err := webhook.New(webhook.Config{URL: server.URL, Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		err = w.Do(context.Background(), backendtest.Order("c", "n"), "provision")
		var refusal *backend.Refusal
		refused := errors.As(err, &refusal)
		if (err != nil) != fails || refused != (reason != "") || refused && refusal.Reason != reason {
			t.Errorf("%d %s: got %v, want reason %q", status, body, err, reason)
		}
	}
	f(200, "", "", false)
	f(204, "", "", false)
	f(200, "not json", "", false)
	f(400, `{"reason":"no_license","detail":"none left"}`, "no_license", true)
	f(404, "<html>", "refused", true)
	f(301, "", "", true)
	f(408, "", "", true)
	f(429, "", "", true)
	f(500, `{"detail":"out of order"}`, "", true)
	f(503, "", "", true)
}

func TestVerify(t *testing.T) {
	var header http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		header, body = req.Header, nil
		body, _ = io.ReadAll(req.Body)
	}))
	defer server.Close()

	signed, err := webhook.New(webhook.Config{URL: server.URL, Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	if err := signed.Do(t.Context(), backendtest.Order("c", "n"), "provision"); err != nil {
		t.Fatal(err)
	}
	f := func(body string, secret []byte, at time.Time, want error) {
		t.Helper()
		if err := webhook.Verify(header, []byte(body), secret, at, time.Minute); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	f(string(body), secret, time.Now(), nil)
	f(string(body)+" ", secret, time.Now(), webhook.ErrSignature)
	f(string(body), []byte("another secret, long enough"), time.Now(), webhook.ErrSignature)
	f(string(body), secret, time.Now().Add(2*time.Minute), webhook.ErrTimestamp)
	f(string(body), secret, time.Now().Add(-2*time.Minute), webhook.ErrTimestamp)
	if strings.Contains(fmt.Sprint(header), string(secret)) {
		t.Error("the secret is in the headers")
	}
}
