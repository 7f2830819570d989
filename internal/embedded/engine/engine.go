// Package engine runs the ClickHouse engine in a supervised child process behind ClickHouse's own HTTP protocol.
//
// Promises:
//
//   - The engine is ClickHouse itself (libchdb), with its tables under the data folder. Any HTTP client of ClickHouse works.
//   - The child ends when its parent does, however that ends: it reads a pipe that only the parent holds. The next parent's
//     child waits for the data folder until it is free.
//   - A child that dies is started again, at the same address, after a wait that doubles with every failure.
//   - Close lets requests finish, closes the engine, and kills the child only after a bound.
//   - The time zone is UTC, whatever the machine's is. The engine's memory and caches are bounded.
//   - What an answered INSERT has stored, and its deduplication token, survive a kill of the child. For them to survive a loss
//     of power too, the table needs fsync_after_insert and fsync_part_directory.
//   - The engine keeps no logs of its own (query_log and the like), so nothing grows but the tables.
//
// The library is loaded in the child alone: it takes over threads and hundreds of megabytes, and a crash of it must not
// take the log down.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Config says how to run the engine.
type Config struct {
	// Command starts a child that calls Serve: this program with its hidden subcommand. Required.
	Command []string
	// Env is added to the child's environment.
	Env []string
	// Addr is where the child listens, host:port. Port 0 picks a free port once.
	Addr string
	// Stop bounds the wait for a graceful end. Default 20 s.
	Stop time.Duration
}

// Engine supervises the child.
type Engine struct {
	cfg    Config
	logger *slog.Logger
	addr   string
	cancel context.CancelFunc
	done   chan struct{}

	mu  sync.Mutex
	pid int
}

// New returns an engine that Start starts.
func New(cfg Config, logger *slog.Logger) *Engine {
	if cfg.Stop == 0 {
		cfg.Stop = 20 * time.Second
	}
	return &Engine{cfg: cfg, logger: logger}
}

// Addr returns where the engine listens, after Start.
func (e *Engine) Addr() string { return e.addr }

// URL returns the engine's HTTP address, after Start.
func (e *Engine) URL() string { return "http://" + e.addr }

// PID returns the child's process id, 0 while there is none.
func (e *Engine) PID() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pid
}

// Start starts the child and returns when it answers, or with the reason why the first one ended.
func (e *Engine) Start(ctx context.Context) error {
	addr, err := fixPort(ctx, e.cfg.Addr)
	if err != nil {
		return err
	}
	e.addr = addr
	life, cancel := context.WithCancel(context.Background())
	e.cancel, e.done = cancel, make(chan struct{})
	first := make(chan error, 1)
	go e.supervise(life, first)
	for {
		if e.answers(ctx) {
			return nil
		}
		select {
		case err := <-first:
			return errors.Join(fmt.Errorf("start the engine: %w", err), e.Close())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start the engine: %w", ctx.Err()), e.Close())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close ends the child and returns when it has ended.
func (e *Engine) Close() error {
	if e.cancel == nil {
		return nil
	}
	e.cancel()
	<-e.done
	return nil
}

// taken is how long to wait for an address that is in use, perhaps by the child of a parent that has just died.
const taken = 3 * time.Second

// fixPort picks a port where none is given, and fails early, with the flag to change, where the address is taken.
func fixPort(ctx context.Context, addr string) (string, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil && port == "0" {
		return freeAddr(ctx, host)
	}
	var fixed string
	err := retry(ctx, taken, func() error {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		fixed = listener.Addr().String()
		return listener.Close()
	})
	if err != nil {
		return "", fmt.Errorf("listen for ClickHouse clients on %q: %w; change --clickhouse-listen", addr, err)
	}
	return fixed, nil
}

// freeAddr picks a port that the system does not hand out by itself. One of those may be somebody else's by the time the child listens,
// or while it is started again.
func freeAddr(ctx context.Context, host string) (string, error) {
	var failed error
	for range 1000 {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(10_000+rand.N(20_000))))
		if err == nil {
			return listener.Addr().String(), listener.Close()
		}
		failed = err
	}
	return "", fmt.Errorf("find a free port for ClickHouse clients: %w", failed)
}

func (e *Engine) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL()+"/ping", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Waits between a child's end and the next start.
const (
	firstWait = 100 * time.Millisecond
	lastWait  = 10 * time.Second
)

// supervise keeps a child running until life ends. How the first child ended, if it did, goes to first.
func (e *Engine) supervise(life context.Context, first chan<- error) {
	defer close(e.done)
	wait := firstWait
	for {
		started := time.Now()
		err := e.runChild(life)
		if life.Err() != nil {
			return
		}
		select {
		case first <- err:
		default:
		}
		if time.Since(started) > time.Minute {
			wait = firstWait
		}
		e.logger.Error("the engine ended, starting it again", "error", err, "wait", wait)
		select {
		case <-life.Done():
			return
		case <-time.After(wait):
			wait = min(2*wait, lastWait)
		}
	}
}

// runChild runs one child until it ends or life does.
func (e *Engine) runChild(life context.Context) error {
	//nolint:noctx // the end of a context would kill it; it is asked to end first
	cmd := exec.Command(e.cfg.Command[0], slices.Concat(e.cfg.Command[1:], []string{"--listen", e.addr})...)
	cmd.Env = append(slices.Concat(os.Environ(), e.cfg.Env), "TZ=UTC")
	cmd.Stdout, cmd.Stderr = plain{os.Stdout}, plain{os.Stderr} // pipes: on a terminal the library writes what it otherwise keeps
	ownGroup(cmd)
	lifeline, err := cmd.StdinPipe() // the child ends when this pipe does
	if err != nil {
		return fmt.Errorf("make the lifeline: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %q: %w", e.cfg.Command[0], err)
	}
	e.setPID(cmd.Process.Pid)
	defer e.setPID(0)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return fmt.Errorf("the engine's process ended: %w", orUnexpected(err))
	case <-life.Done():
	}
	return e.end(cmd, lifeline, ended)
}

// plain hides that a writer is a file.
type plain struct{ io.Writer }

func (e *Engine) setPID(pid int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pid = pid
}

var errUnexpected = errors.New("without being asked to")

func orUnexpected(err error) error {
	if err == nil {
		return errUnexpected
	}
	return err
}

// end asks the child to end through its lifeline, and kills it after the bound.
func (e *Engine) end(cmd *exec.Cmd, lifeline io.WriteCloser, ended <-chan error) error {
	_, _ = lifeline.Write([]byte("."))
	_ = lifeline.Close()
	timeout := time.NewTimer(e.cfg.Stop)
	defer timeout.Stop()
	select {
	case err := <-ended:
		return err
	case <-timeout.C:
		e.logger.Error("the engine did not end in time and is killed", "bound", e.cfg.Stop)
		_ = cmd.Process.Kill()
		return <-ended
	}
}
