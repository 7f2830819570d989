package analytics

import (
	"context"
	"os"
	"sync"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/readings"
	"github.com/fieldlog/fieldlog/schemas"
)

// tables are the tables in ClickHouse.
type tables interface {
	// Insert stores one block of a table. It is idempotent for equal tokens and returns the bytes it sent once all of it is
	// durable.
	Insert(ctx context.Context, o clickhouse.InsertOptions) (int, error)
	// Look tells whether a row of a table meets a condition.
	Look(ctx context.Context, table, condition string, args ...any) (clickhouse.Sight, error)
	// Query finds all that was inserted before.
	Query(ctx context.Context, query string, args ...any) (clickhouse.Rows, error)
	// Table returns a table's name, quoted for a statement.
	Table(table string) string
}

// sink stores blocks in ClickHouse. What a block becomes, and what a crash after each step leaves behind:
//
//  1. Its rows are grouped by table and month. Each group is one insert, one part, one token:
//     "g<generation>-<topic id>:<topic>:<partition>:<first>-<last>:<table>:<month>". Crash: nothing is stored; the equal block of
//     the next owner stores it.
//  2. Groups are inserted one after the other. Crash between two: the next owner inserts those that it does not find, see
//     store.insert. Rollups come before their readings: who finds a reading finds it in them.
//  3. Its dead letters are appended to the log. Crash before the offset is committed: they are appended again, with
//     the same event ids.
//
// Step 2 leans on the fold being deterministic: equal ranges make groups of equal rows. The token holds the topic's id, so that
// the offsets of a topic that was deleted and created again are not taken for the old ones. A record that was redriven is left
// out if an earlier copy of it is stored, see redriven; one that its sender sent again if it repeats an earlier one, see retries.
type sink struct {
	cfg     Config
	log     *eventlog.Log
	ch      tables
	metrics *metrics
	slots   chan struct{} // one taken by each block that is being inserted
	free    sync.Pool     // of *block
	host    string
}

func newSink(cfg Config, log *eventlog.Log, ch tables, m *metrics) *sink {
	s := &sink{cfg: cfg, log: log, ch: ch, metrics: m, slots: make(chan struct{}, cfg.Concurrency)}
	s.free.New = func() any { return &block{} }
	s.host, _ = os.Hostname() // empty when unknown
	return s
}

// enter takes a slot as soon as one is free, leave gives it back.
func (s *sink) enter(ctx context.Context) error {
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *sink) leave() { <-s.slots }

// block is what the records of one eventlog.Block became.
type block struct {
	rows    readings.Block
	letters []schemas.DeadLetter
	newest  schemas.Time // the latest receipt
	kept    int          // bytes of the letters
}

func (b *block) reset() {
	b.rows.Reset()
	clear(b.letters)
	b.letters, b.newest, b.kept = b.letters[:0], 0, 0
}

// Fold implements eventlog.Sink.
func (s *sink) Fold(_ eventlog.Topic, id eventlog.TopicID, p eventlog.Partition) eventlog.Fold {
	return &fold{
		sink:     s,
		decoder:  eventlog.NewDecoder[schemas.TelemetryReported](s.log, schemas.KindTelemetryReported),
		open:     s.free.Get().(*block),
		redriven: redriven{id: id, partition: p},
		retries:  retries{sink: s},
	}
}
