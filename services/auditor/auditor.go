// Package auditor holds three accounts of what was reported against each other: what gateways wrote down as confirmed (topic
// receipts), what the log holds, and what ClickHouse holds.
//
// # Promises
//
//   - Exact. Every record of a window is read from the log, and each of its rows is accounted for by topic id, partition, offset and
//     index. A row that is missing, doubled or not from the log is found, also where such cancel each other out in number; up
//     to a chance of 2^-64 for each bucket of 4096 offsets. Values are not compared.
//   - No false alarm while things go on: a record is held against ClickHouse only if the group's committed offset, read
//     before the tables are asked, says that its block is stored and confirmed. The others are pending.
//   - Topics that were deleted and created again are told apart by their ids, generations by their tables and group.
//   - Cheap where all is well: ClickHouse answers with two sums a bucket, and with no rows, except those of duplicates and copies. Only
//     buckets that differ are looked at offset by offset.
//   - Memory is bounded: a window is worked off in chunks of at most an hour and [chunkOffsets] offsets a partition; what is
//     kept of receipts, letters and the log are ranges of offsets.
//   - Nothing is changed anywhere.
//
// # What is not a difference
//
//   - Unclaimed records: in the log, in no receipt. A gateway that is killed loses the receipts of its last interval, and others
//     than gateways may append.
//   - Offsets without a record: markers of transactions, and what was aborted.
//   - Dead letters of the storer. A generation that came later may have stored them; then it must have done so whole.
//   - Copies: a record that was redriven, although this generation has stored the first copy; and one that its sender sent again, by
//     table duplicates, if what it repeats is accounted for. Whether it repeats that is for analytics to decide.
//   - What retention has taken from the log or from ClickHouse: it is left out on both sides, and noted.
package auditor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Auditor audits one installation.
type Auditor struct {
	cfg     Config
	log     *eventlog.Log
	ch      *clickhouse.Client
	logger  *slog.Logger
	metrics *metrics
}

// New returns an Auditor that has not connected to anything yet.
func New(cfg Config, log *eventlog.Log, ch *clickhouse.Client, logger *slog.Logger, reg prometheus.Registerer) (*Auditor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Auditor{cfg: cfg.withDefaults(), log: log, ch: ch, logger: logger, metrics: newMetrics(reg)}, nil
}

// errRecreated says that a topic was deleted and created again while it was audited.
var errRecreated = errors.New("the topic was created anew during the audit; audit again")

// Audit holds the accounts of a window against each other. An error says that something could not be asked; that the accounts
// differ is no error but in the result.
//
// The order of its steps is what keeps it from false alarms:
//
//  1. Receipts are read to their end. What they claim was in the log before they were.
//  2. The log's ends are asked for: everything that is claimed lies before them, or is lost.
//  3. The group's offsets are asked for. What lies before them is in ClickHouse and stays there, and its dead letters are in the log.
//  4. Dead letters are read to their end; the log is scanned and ClickHouse is asked, chunk by chunk.
func (a *Auditor) Audit(ctx context.Context, w Window) (*Result, error) {
	begin := time.Now()
	run := &run{Auditor: a, result: &Result{Window: w, Began: begin}}
	err := run.all(ctx)
	a.metrics.seconds.Observe(time.Since(begin).Seconds())
	if err != nil {
		a.metrics.runs.WithLabelValues("failed").Inc()
		return nil, fmt.Errorf("audit %s: %w", w, err)
	}
	a.metrics.count(run.result)
	return run.result, nil
}

// Unreachable tells whether an error of Audit or Wait says that something could not be asked, rather than that it refused.
func Unreachable(err error) bool {
	return !errors.Is(err, errRecreated) && !errors.Is(err, sql.ErrNoRows) && clickhouse.ClassOf(err) != clickhouse.Refused
}

// String names the window.
func (w Window) String() string {
	from := "the oldest record"
	if !w.From.IsZero() {
		from = w.From.UTC().Format(time.RFC3339)
	}
	to := "now"
	if !w.To.IsZero() {
		to = w.To.UTC().Format(time.RFC3339)
	}
	return "from " + from + " to " + to
}

// Wait returns when everything that the log holds now of a window is stored, or with the error of ctx.
func (a *Auditor) Wait(ctx context.Context, w Window) error {
	tables, err := a.cfg.Tables(ctx)
	if err != nil {
		return err
	}
	ids, err := a.log.TopicIDs(ctx, eventlog.TopicTelemetry)
	if err != nil {
		return err
	}
	held, err := a.log.Decided(ctx, eventlog.TopicTelemetry)
	if err != nil {
		return err
	}
	until, err := a.ends(ctx, eventlog.TopicTelemetry, w, held)
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		progress, err := a.progress(ctx, tables.Group, eventlog.TopicTelemetry, ids[eventlog.TopicTelemetry])
		if err != nil {
			return err
		}
		left := false
		for p, o := range until {
			left = left || progress[p] < o
		}
		if !left {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// progress returns the offsets before which everything of a topic is stored.
func (a *Auditor) progress(ctx context.Context, group eventlog.Group, topic eventlog.Topic, id eventlog.TopicID) (map[eventlog.Partition]eventlog.Offset, error) {
	committed, err := a.log.Progress(ctx, group, topic)
	if err != nil {
		return nil, err
	}
	until := make(map[eventlog.Partition]eventlog.Offset, len(committed))
	for p, done := range committed {
		if done.TopicID == id.String() { // else it is of a topic of the same name that was deleted
			until[p] = done.Next
		}
	}
	return until, nil
}

// bounds returns the offsets at which a time begins, within what the log holds. The zero time begins with the oldest record.
func (a *Auditor) bounds(ctx context.Context, topic eventlog.Topic, t time.Time, held map[eventlog.Partition]eventlog.Range) (map[eventlog.Partition]eventlog.Offset, error) {
	bounds := make(map[eventlog.Partition]eventlog.Offset, len(held))
	if t.IsZero() {
		for p, r := range held {
			bounds[p] = r.First
		}
		return bounds, nil
	}
	found, err := a.log.OffsetsAt(ctx, topic, t)
	if err != nil {
		return nil, err
	}
	for p, r := range held {
		if o, known := found[p]; known {
			bounds[p] = min(max(o, r.First), r.Next)
		} else {
			bounds[p] = r.Next
		}
	}
	return bounds, nil
}

// ends returns the offsets at which a window ends.
func (a *Auditor) ends(ctx context.Context, topic eventlog.Topic, w Window, held map[eventlog.Partition]eventlog.Range) (map[eventlog.Partition]eventlog.Offset, error) {
	if !w.To.IsZero() {
		return a.bounds(ctx, topic, w.To, held)
	}
	ends := make(map[eventlog.Partition]eventlog.Offset, len(held))
	for p, r := range held {
		ends[p] = r.Next
	}
	return ends, nil
}
