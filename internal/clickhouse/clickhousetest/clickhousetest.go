// Package clickhousetest starts the real ClickHouse engine for tests: the test binary itself is its child process.
//
// A package that uses it says so in its TestMain:
//
//	func TestMain(m *testing.M) { clickhousetest.Main(m) }
//
// The engine starts with the first test that asks for it and ends with the test binary; its data goes with it. Tests share
// it, each with a database of its own.
package clickhousetest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
)

// The variables that tell a test binary to be the child.
const (
	dirVariable     = "CLICKHOUSETEST_DIR"
	libraryVariable = "CLICKHOUSETEST_LIBRARY"
)

// Main is the body of a TestMain. It does not return.
func Main(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		os.Exit(serve(dir))
	}
	code := m.Run()
	shared.stop()
	os.Exit(code)
}

func serve(dir string) int {
	err := engine.Serve(context.Background(), engine.ServeConfig{
		Library: os.Getenv(libraryVariable), Dir: dir, Addr: os.Args[len(os.Args)-1], Lifeline: os.Stdin,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// server is the engine that the tests of a binary share.
type server struct {
	once      sync.Once
	engine    *engine.Engine
	dir       string
	err       error
	databases atomic.Int64
}

var shared server

// start starts the engine, which outlives the test that happens to be first.
func (s *server) start() {
	path, err := library.Install(context.Background(), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		s.err = err
		return
	}
	if s.dir, s.err = os.MkdirTemp("", "clickhousetest-"); s.err != nil {
		return
	}
	s.engine = engine.New(engine.Config{
		Command: []string{os.Args[0]}, Addr: "127.0.0.1:0",
		Env: []string{dirVariable + "=" + s.dir, libraryVariable + "=" + path},
	}, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s.err = s.engine.Start(ctx)
}

func (s *server) stop() {
	if s.engine != nil {
		_ = s.engine.Close() // the process ends here, and the child with it
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}

// Config points at the engine, with a database that no other test has.
func Config(t testing.TB) clickhouse.Config {
	t.Helper()
	shared.once.Do(shared.start)
	if shared.err != nil {
		t.Fatalf("start the engine: %v", shared.err)
	}
	return clickhouse.Config{URL: shared.engine.URL(), Database: fmt.Sprintf("test_%d", shared.databases.Add(1))}
}

// Open returns a client of a new database, which Apply makes. It is closed, and the database is dropped, when the test ends.
func Open(t testing.TB, cfg clickhouse.Config) *clickhouse.Client {
	t.Helper()
	client, err := clickhouse.New(cfg)
	if err != nil {
		t.Fatalf("open ClickHouse: %v", err)
	}
	t.Cleanup(func() {
		if err := client.Exec(context.Background(), "DROP DATABASE IF EXISTS `"+cfg.Database+"`"); err != nil {
			t.Errorf("drop database: %v", err)
		}
		if err := client.Close(); err != nil {
			t.Errorf("close client: %v", err)
		}
	})
	return client
}

// Kill kills the engine as kill -9 does, and returns when its successor answers.
func Kill(t testing.TB, client *clickhouse.Client) {
	t.Helper()
	process, err := os.FindProcess(shared.engine.PID())
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatalf("kill the engine: %v", err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for client.Ready(t.Context()) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the engine did not come back within 30 s")
		}
		<-time.After(20 * time.Millisecond) // a process boundary: there is nothing to wait on
	}
}
