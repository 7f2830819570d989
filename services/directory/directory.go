// Package directory shows clients and their orders: it follows what the registrar commits, and answers over HTTP.
//
// # Promises
//
//   - What it shows was committed. It may be a moment old: whoever acts on it says which version he saw, and the registrar decides.
//   - An answer tells the client's or the order's version as its ETag, for If-Match. Updates come as server-sent events.
//   - The past is folded from the facts in the log, by the projection that made the present (package clients). It reads the client's
//     partition from its beginning: at most Config.Scans of these at a time, others wait.
//   - Memory holds the state of every client: about 1 KiB and 0.7 KiB an order, at most 1 MB a client. A slow reader of updates gets
//     the newest state of what changed instead of each change; nothing is queued for it but names.
//   - It has no state of its own, and decides nothing. Any number may run.
package directory

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/pause"
)

// Config says how to show it. The zero value of every field means its default.
type Config struct {
	// Scans bounds how many partitions are read for history at a time. Default 4.
	Scans int64
	// Watchers bounds the open streams of updates. Default 1000.
	Watchers int
}

// Directory is the present state of clients.
type Directory struct {
	cfg    Config
	log    *eventlog.Log
	logger *slog.Logger
	book   *book
	scans  *semaphore.Weighted
	ready  atomic.Bool
}

// New returns a Directory that has not connected to anything yet.
func New(cfg Config, log *eventlog.Log, logger *slog.Logger) *Directory {
	if cfg.Scans == 0 {
		cfg.Scans = 4
	}
	if cfg.Watchers == 0 {
		cfg.Watchers = 1000
	}
	return &Directory{cfg: cfg, log: log, logger: logger, book: newBook(), scans: semaphore.NewWeighted(cfg.Scans)}
}

// Run follows the log until ctx ends, and returns nil. While the log is away it tries again.
func (d *Directory) Run(ctx context.Context) error {
	defer d.ready.Store(false)
	var retry pause.Backoff
	for ctx.Err() == nil {
		if err := d.follow(ctx); ctx.Err() == nil {
			d.logger.Warn("cannot follow clients for now", "error", err)
			retry.Wait(ctx)
		}
	}
	return nil
}

// Ready returns nil once everything that was there when it started is shown.
func (d *Directory) Ready(context.Context) error {
	if !d.ready.Load() {
		return errors.New("the directory has not read the clients yet")
	}
	return nil
}

// follow reads all states, then what is new. Facts are followed from before the states are read, for those who wait for one.
func (d *Directory) follow(ctx context.Context) error {
	facts, err := d.log.Ends(ctx, eventlog.TopicClients)
	if err != nil {
		return err
	}
	next := map[eventlog.Partition]eventlog.Offset{}
	if err := d.read(ctx, eventlog.ReadOptions{Topic: eventlog.TopicClientState}, func(r *eventlog.Record) { next[r.Partition] = r.Offset + 1 }); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	d.ready.Store(true)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return d.read(ctx, eventlog.ReadOptions{Topic: eventlog.TopicClientState, Starts: next, Follow: true}, nil)
	})
	group.Go(func() error {
		begin := map[eventlog.Partition]eventlog.Offset{}
		for p, r := range facts {
			begin[p] = r.Next
		}
		return d.read(ctx, eventlog.ReadOptions{Topic: eventlog.TopicClients, Starts: begin, Follow: true}, nil)
	})
	return group.Wait()
}

// read takes what a topic holds. A record that is bad is left out: the registrar did not write it.
func (d *Directory) read(ctx context.Context, o eventlog.ReadOptions, taken func(*eventlog.Record)) error {
	events := d.log.NewEvents()
	for r, err := range d.log.Read(ctx, o) {
		if err != nil {
			return err
		}
		r.Value = bytes.Clone(r.Value) // a state is kept, and must not hold what came along
		event, err := events.Decode(ctx, r)
		var refusal *eventlog.Refusal
		switch {
		case err == nil:
			d.book.take(r, event)
		case !errors.As(err, &refusal):
			return fmt.Errorf("read %s: %w", r.Position, err)
		}
		if taken != nil {
			taken(r)
		}
	}
	return nil
}
