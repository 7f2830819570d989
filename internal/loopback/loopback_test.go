package loopback_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/fieldlog/fieldlog/internal/loopback"
)

func TestGuard(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	f := func(listen, method, host string, want int, headers ...string) {
		t.Helper()
		r := httptest.NewRequest(method, "/", nil)
		r.Host = host
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		loopback.Guard(at(listen), ok).ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s %s at %q %v: got %d, want %d", listen, method, host, headers, w.Code, want)
		}
	}
	for _, host := range []string{"127.0.0.1:80", "127.0.0.1", "127.8.9.1:80", "localhost:80", "LOCALHOST", "[::1]:80", "[::1]", "host.docker.internal:80", "host.containers.internal", ""} {
		f("127.0.0.1:80", "POST", host, 204)
		f("[::1]:80", "GET", host, 204)
	}
	for _, host := range []string{"evil.example:80", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "docker.internal", "192.168.1.1", "0.0.0.0:80", "[::]:80"} {
		f("127.0.0.1:80", "GET", host, 421)
		f("[::1]:80", "POST", host, 421)
		f("0.0.0.0:80", "GET", host, 204) // others reach it, by names of their own
	}
	for _, listen := range []string{"127.0.0.1:80", "0.0.0.0:80"} {
		f(listen, "POST", "127.0.0.1:80", 403, "Sec-Fetch-Site", "cross-site")
		f(listen, "DELETE", "127.0.0.1:80", 403, "Sec-Fetch-Site", "same-site") // another port of this machine
		f(listen, "PUT", "127.0.0.1:80", 403, "Origin", "http://evil.example")
		f(listen, "POST", "127.0.0.1:80", 204, "Sec-Fetch-Site", "same-origin")
		f(listen, "GET", "127.0.0.1:80", 204, "Sec-Fetch-Site", "cross-site") // changes nothing, and the page cannot read it
	}
}

// at is a listener at an address.
type at string

func (a at) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (a at) Close() error              { return nil }
func (a at) Addr() net.Addr            { return a }
func (a at) Network() string           { return "tcp" }
func (a at) String() string            { return string(a) }
