package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/wire"
)

// ServeConfig is what the child process needs.
type ServeConfig struct {
	// Library is the path of libchdb.
	Library string
	// Dir is the data folder; one process may have it open.
	Dir string
	// Addr is where to listen, host:port.
	Addr string
	// Connections is how many statements run at once. Default 8.
	Connections int
	// Lifeline ends the service when it ends; usually standard input. Nil never does.
	Lifeline io.Reader
	// Wire bounds requests and answers, and names user and password.
	Wire wire.Config
}

// Serve runs the engine and answers until ctx or the lifeline ends, then lets requests finish and closes the engine.
func Serve(ctx context.Context, cfg ServeConfig, logger *slog.Logger) error {
	if cfg.Connections == 0 {
		cfg.Connections = 8
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	db, err := chdb.Open(cfg.Library, cfg.Dir, cfg.Connections)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for ClickHouse clients: %w", err), db.Close())
	}
	server := &http.Server{
		Handler:           wire.New(cfg.Wire, db, logger),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	logger.Debug("the engine answers", "version", db.Version(), "addr", listener.Addr().String())
	select {
	case err = <-served:
	case <-ctx.Done():
	case <-lifelineEnd(cfg.Lifeline):
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 15*time.Second)
	defer cancel()
	if shut := server.Shutdown(stop); shut != nil {
		err = errors.Join(err, fmt.Errorf("finish requests: %w", shut))
	}
	return errors.Join(err, db.Close())
}

// lifelineEnd is closed when nothing more can be read from r.
func lifelineEnd(r io.Reader) <-chan struct{} {
	if r == nil {
		return nil
	}
	end := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, r)
		close(end)
	}()
	return end
}
