package engine_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/wire"
)

// TestMain lets the test binary be the engine's child process.
func TestMain(m *testing.M) {
	if dir := os.Getenv("ENGINE_TEST_DIR"); dir != "" {
		err := engine.Serve(context.Background(), engine.ServeConfig{
			Library: os.Getenv("ENGINE_TEST_LIBRARY"), Dir: dir, Addr: os.Args[len(os.Args)-1], Lifeline: os.Stdin,
			Drain: 500 * time.Millisecond,
			Wire:  wire.Config{Password: os.Getenv("ENGINE_TEST_PASSWORD")},
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("ENGINE_TEST_PARENT"); dir != "" {
		fmt.Fprintln(os.Stderr, serveParent(dir, os.Getenv("ENGINE_TEST_LIBRARY"), os.Getenv("ENGINE_TEST_ADDR")))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serveParent is a parent that starts an engine, tells its process id and waits to be killed.
func serveParent(dir, library, addr string) error {
	e := engine.New(engine.Config{
		Command: []string{os.Args[0]}, Addr: addr, Env: []string{"ENGINE_TEST_DIR=" + dir, "ENGINE_TEST_LIBRARY=" + library},
	}, slog.New(slog.DiscardHandler))
	if err := e.Start(context.Background()); err != nil {
		return err
	}
	fmt.Println(e.Addr())
	select {}
}

func start(t testing.TB, dir string, env ...string) *engine.Engine {
	t.Helper()
	path, err := library.Install(t.Context(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{
		Command: []string{os.Args[0]}, Addr: "127.0.0.1:0",
		Env: append(env, "ENGINE_TEST_DIR="+dir, "ENGINE_TEST_LIBRARY="+path),
	}, slog.New(slog.DiscardHandler))
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// post sends a request as curl would.
func post(t testing.TB, e *engine.Engine, params url.Values, body io.Reader, headers ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL()+"/?"+params.Encode(), body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}
