package engine

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/wire"
	"github.com/fieldlog/fieldlog/internal/loopback"
)

// ServeConfig is what the child process needs.
type ServeConfig struct {
	// Library is the path of libchdb.
	Library string
	// Dir is the data folder; one process may have it open.
	Dir string
	// Addr is where to listen, host:port.
	Addr string
	// Memory bounds what the engine may use, in bytes. Default half of the machine's.
	Memory int64
	// Lifeline ends the service when it ends; usually standard input. A byte in it announces an end in good order. Nil
	// never ends.
	Lifeline io.Reader
	// Drain is how long requests may take to finish after an announced end. Default 15 s; less than the parent's Stop.
	Drain time.Duration
	// Wire bounds requests and answers, and names user and password.
	Wire wire.Config
}

const (
	// orphaned is how long requests may take to finish after the parent has died: its successor waits for folder and address.
	orphaned = time.Second
	// killed is how long statements may take to end after they were told to.
	killed = 3 * time.Second
	// inherited is how long to wait for the folder and the address of a child before this one.
	inherited = 10 * time.Second
)

// Serve runs the engine and answers until ctx or the lifeline ends, then lets requests finish and closes the engine. It is for
// a process of its own, which is to end when Serve returns: statements that do not end in time still run then.
func Serve(ctx context.Context, cfg ServeConfig, logger *slog.Logger) error {
	unlock, err := lockFolder(ctx, cfg.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	db, err := chdb.Open(cfg.Library, cfg.Dir, serverSettings(cfg.Memory)...)
	if err != nil {
		return err
	}
	db.Preset(fmt.Sprintf("min_free_disk_bytes_to_perform_insert=%d", minFree))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for ClickHouse clients: %w", err), db.Close())
	}
	server := &http.Server{
		Handler:           loopback.Names(listener, wire.New(cfg.Wire, db, logger)),
		ReadHeaderTimeout: 10 * time.Second,
		WriteTimeout:      15 * time.Minute, // the handler moves it on with each piece of an answer
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	logger.Debug("the engine answers", "version", db.Version(), "addr", listener.Addr().String())
	patience := cmp.Or(cfg.Drain, 15*time.Second)
	select {
	case err = <-served:
	case <-ctx.Done():
	case asked := <-lifelineEnd(cfg.Lifeline):
		if !asked {
			patience = orphaned
		}
	}
	return errors.Join(err, stop(server, db, patience))
}

// stop lets requests finish, ends those that do not, and closes the engine.
func stop(server *http.Server, db *chdb.DB, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(ctx); err == nil {
		return db.Close()
	}
	kill := db.Kill("")
	_ = server.Close()
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(killed):
		return errors.Join(errors.New("close the engine: statements run on; what they have not stored is lost"), kill)
	}
}

// minFree is the room in bytes that must be left on the disk for an INSERT to be taken. It is more than the embedded broker
// insists on, which may well be on the same disk: the log goes on when tables no longer do, and both before a write can fail.
const minFree = 512 << 20

// serverSettings bound the engine, which takes most of the machine by itself. The sizes of its background pools follow the
// number of processors.
func serverSettings(memory int64) []string {
	settings := []string{
		"mark_cache_size=268435456",
		"index_mark_cache_size=67108864",
		"max_server_memory_usage_to_ram_ratio=0.5",
	}
	if memory > 0 {
		settings = append(settings, fmt.Sprintf("max_server_memory_usage=%d", memory))
	}
	return settings
}

// lockFolder makes the data folder and locks it, once a child of a dead parent has let go of it.
func lockFolder(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "fieldlog.lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	err = retry(ctx, inherited, func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder %q: another process has it: %w", dir, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// retry calls f until it returns nil, ctx ends or the time is over, and returns its last error.
func retry(ctx context.Context, within time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lifelineEnd gets a value when nothing more can be read from r: whether the end was announced.
func lifelineEnd(r io.Reader) <-chan bool {
	if r == nil {
		return nil
	}
	end := make(chan bool, 1)
	go func() {
		_, err := bufio.NewReader(r).ReadByte()
		end <- err == nil
	}()
	return end
}
