package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/services/gateway"
)

func TestALogThatDoesNotConfirmGives503(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	cfg := cluster.Config()
	cfg.Confirm = time.Second
	log := cluster.Open(t, cfg)
	g, err := gateway.New(future, log, slog.New(slog.DiscardHandler), nil, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	cluster.Silence(t)
	recorder := httptest.NewRecorder()
	g.ServeHTTP(recorder, asked("POST", "/v1/telemetry", good))
	if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") == "" || !strings.Contains(recorder.Body.String(), "same event_id") {
		t.Errorf("got %d %v %s", recorder.Code, recorder.Header(), recorder.Body)
	}
	recorder = httptest.NewRecorder()
	g.ServeHTTP(recorder, asked("POST", "/write?db=c", "m,device=d v=1"))
	if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") == "" {
		t.Errorf("line protocol: got %d %v %s", recorder.Code, recorder.Header(), recorder.Body)
	}
}

func TestTooMuchUnderWayGives429(t *testing.T) {
	cfg := future
	cfg.MaxInFlight = 10
	f := start(t, cfg)
	for _, target := range []string{"/v1/telemetry", "/write?db=c"} {
		if status, body, header := f.do(t, "POST", target, good); status != http.StatusTooManyRequests || header.Get("Retry-After") == "" {
			t.Errorf("%s: got %d %s", target, status, body)
		}
	}
}

// serve runs a gateway on a real connection.
func serve(t *testing.T, cfg gateway.Config) (addr string, stop func()) {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	f := start(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	if err := f.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-done; err != nil {
				t.Errorf("run: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return f.Addr(), stop
}

func dial(t *testing.T, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, bufio.NewReader(conn)
}

func TestAStalledBodyGives408(t *testing.T) {
	cfg := future
	cfg.HeaderTimeout = 100 * time.Millisecond
	server := httptest.NewServer(start(t, cfg)) // which has no bound of its own on the header
	t.Cleanup(server.Close)
	conn, answers := dial(t, server.Listener.Addr().String())
	fmt.Fprintf(conn, "POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", len(good), good[:30])
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Fatalf("got %v %v, want 408", resp, err)
	}
	body, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(body), "stalled") {
		t.Errorf("got %s", body)
	}
}

// TestAStalledBodyThatIsRefusedUnread: the server reads some of the body before it answers.
func TestAStalledBodyThatIsRefusedUnread(t *testing.T) {
	cfg := future
	cfg.HeaderTimeout = 100 * time.Millisecond
	open := httptest.NewServer(start(t, cfg)) // which has no bound of its own on the header
	t.Cleanup(open.Close)
	cfg.Tokens = []string{"a-token-of-some-length"}
	closed := httptest.NewServer(start(t, cfg))
	t.Cleanup(closed.Close)
	f := func(server *httptest.Server, path, host string, want int) {
		t.Helper()
		conn, answers := dial(t, server.Listener.Addr().String())
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s", path, host, len(good), good[:30])
		resp, err := http.ReadResponse(answers, nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%s at %s: got %v %v, want %d", path, host, resp, err, want)
		}
	}
	f(open, "/v1/telemetry", "evil.example", http.StatusMisdirectedRequest)
	f(open, "/nothing", "localhost", http.StatusNotFound)
	f(closed, "/v1/telemetry", "localhost", http.StatusUnauthorized)
}

func TestAStalledHeaderIsCutOff(t *testing.T) {
	cfg := future
	cfg.HeaderTimeout = 100 * time.Millisecond
	addr, _ := serve(t, cfg)
	conn, answers := dial(t, addr)
	fmt.Fprint(conn, "POST /v1/telemetry HTTP/1.1\r\nHost:")
	if rest, err := io.ReadAll(answers); err != nil && len(rest) > 0 && !strings.Contains(string(rest), "408") {
		t.Errorf("got %q %v", rest, err)
	}
}

// TestARequestUnderWayIsAnsweredWhenTheGatewayStops stops the gateway in the middle of a body.
func TestARequestUnderWayIsAnsweredWhenTheGatewayStops(t *testing.T) {
	addr, stop := serve(t, future)
	conn, answers := dial(t, addr)
	fmt.Fprintf(conn, "POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(good))
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") { // it is being served now
		t.Fatalf("got %q %v", line, err)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	fmt.Fprint(conn, good)
	if _, err := answers.ReadString('\n'); err != nil { // the blank line after 100 Continue
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v %v, want 200", resp, err)
	}
	<-stopped
}

func TestReadyzSaysWhyNot(t *testing.T) {
	cfg := future
	cfg.Ready = func(context.Context) error { return io.ErrUnexpectedEOF }
	f := start(t, cfg)
	if status, body, _ := f.do(t, "GET", "/readyz", ""); status != 503 || !strings.Contains(body, "unexpected EOF") {
		t.Errorf("got %d %s", status, body)
	}
	for _, path := range []string{"/healthz", "/metrics", "/health", "/"} {
		if status, body, _ := f.do(t, "GET", path, ""); status != 200 || body == "" {
			t.Errorf("%s: got %d %s", path, status, body)
		}
	}
	if status, _, _ := f.do(t, "GET", "/ping", ""); status != 204 {
		t.Errorf("/ping: got %d", status)
	}
}
