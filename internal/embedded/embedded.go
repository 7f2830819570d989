// Package embedded runs a Kafka-protocol broker, a schema registry and the ClickHouse engine in one process tree, with one
// locked data folder.
//
// Promises:
//
//   - One process has a data folder at a time; a second one is told the first one's process id.
//   - [Embedded.Start] returns when all that was asked for answers. If one fails, those that started are closed again; an
//     error about an address or a folder names the flag to change.
//   - [Embedded.Close] ends the engine first, which stores what it was given, then the registry, then the broker it writes to,
//     and gives the folder back last.
//   - Outside clients can use all three. They ask for no password: off loopback, others can reach them.
//
// What is under the folder: lock, kafka/, clickhouse/. The registry keeps its schemas in a topic.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/fieldlog/fieldlog/internal/embedded/broker"
	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	"github.com/fieldlog/fieldlog/internal/embedded/registry"
)

// Config says what to embed. An empty address leaves that one out.
type Config struct {
	// Dir is the data folder. Required; it is made if it is missing.
	Dir string
	// KafkaAddr, RegistryAddr and ClickHouseAddr are host:port to listen on; port 0 picks a free one.
	KafkaAddr, RegistryAddr, ClickHouseAddr string
	// Brokers hold the registry's topic when the broker is left out.
	Brokers []string
	// EngineCommand starts the engine's child process; --data DIR and --listen ADDR are appended.
	EngineCommand []string
	// Logger gets what goes wrong.
	Logger *slog.Logger
}

// Embedded is the three engines.
type Embedded struct {
	cfg      Config
	lock     *Lock
	broker   *broker.Broker
	registry *registry.Registry
	engine   *engine.Engine
}

// New returns engines that Start starts.
func New(cfg Config) *Embedded { return &Embedded{cfg: cfg} }

// Start locks the folder and starts the engines, ClickHouse beside the other two. After an error nothing is left running.
func (e *Embedded) Start(ctx context.Context) error {
	var err error
	if e.cfg.Dir, err = filepath.Abs(e.cfg.Dir); err != nil { // the engine puts a relative one before itself when it starts again
		return fmt.Errorf("find data folder %q: %w", e.cfg.Dir, err)
	}
	lock, err := Acquire(e.cfg.Dir)
	if err != nil {
		return err
	}
	e.lock = lock
	var both errgroup.Group // each has its own bounds; one that started is closed below if the other failed
	both.Go(func() error { return e.startLog(ctx) })
	both.Go(func() error { return e.startEngine(ctx) })
	if err := both.Wait(); err != nil {
		return errors.Join(err, e.Close())
	}
	return nil
}

// startLog starts the broker, then the registry on it.
func (e *Embedded) startLog(ctx context.Context) error {
	brokers := e.cfg.Brokers
	if e.cfg.KafkaAddr != "" {
		b := broker.New(broker.Config{Addr: e.cfg.KafkaAddr, Dir: filepath.Join(e.cfg.Dir, "kafka"), Logger: e.cfg.Logger})
		if err := b.Start(); err != nil {
			return err
		}
		e.broker, brokers = b, []string{b.Addr()}
	}
	if e.cfg.RegistryAddr == "" {
		return nil
	}
	r := registry.New(registry.Config{Addr: e.cfg.RegistryAddr, Brokers: brokers, Logger: e.cfg.Logger})
	if err := r.Start(ctx); err != nil {
		return errors.Join(fmt.Errorf("start the registry: %w", err), r.Close())
	}
	e.registry = r
	return nil
}

func (e *Embedded) startEngine(ctx context.Context) error {
	if e.cfg.ClickHouseAddr == "" {
		return nil
	}
	command := append(slices.Clone(e.cfg.EngineCommand), "--data", filepath.Join(e.cfg.Dir, "clickhouse"))
	c := engine.New(engine.Config{Command: command, Addr: e.cfg.ClickHouseAddr}, e.cfg.Logger)
	if err := c.Start(ctx); err != nil {
		return err
	}
	e.engine = c
	return nil
}

// Close ends what was started, in the order the package promises.
func (e *Embedded) Close() error {
	var failures []error
	if e.engine != nil {
		failures = append(failures, e.engine.Close())
	}
	if e.registry != nil {
		failures = append(failures, e.registry.Close())
	}
	if e.broker != nil {
		failures = append(failures, e.broker.Close())
	}
	if e.lock != nil {
		failures = append(failures, e.lock.Release())
	}
	e.engine, e.registry, e.broker, e.lock = nil, nil, nil, nil
	return errors.Join(failures...)
}

// Brokers returns where the broker is: the embedded one's address, or those of Config.
func (e *Embedded) Brokers() []string {
	if e.broker == nil {
		return e.cfg.Brokers
	}
	return []string{e.broker.Addr()}
}

// RegistryURL returns the embedded registry's URL, empty when it was left out.
func (e *Embedded) RegistryURL() string {
	if e.registry == nil {
		return ""
	}
	return e.registry.URL()
}

// ClickHouseURL returns the embedded engine's URL, empty when it was left out.
func (e *Embedded) ClickHouseURL() string {
	if e.engine == nil {
		return ""
	}
	return e.engine.URL()
}
