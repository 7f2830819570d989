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
	keys    map[string]bool
	busy    int // so many answers of 202 come first
}

type module struct {
	Client, Order string
	Version       int
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
	case asked.Action == "remove" && mine:
		delete(r.modules, o.Namespace)
	case asked.Action == "do" && there && !mine:
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"reason":"namespace_taken","detail":"it is another client's"}`)
	case asked.Action == "do" && had.Version > o.Version:
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"reason":"overtaken","detail":"a later version is here"}`)
	case asked.Action == "do":
		r.modules[o.Namespace] = module{o.Client, o.ID, o.Version}
	}
}

func start(t *testing.T) (*receiver, *webhook.Webhook) {
	t.Helper()
	r := &receiver{t: t, modules: map[string]module{}, keys: map[string]bool{}}
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
