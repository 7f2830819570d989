package analytics

import (
	"errors"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/duplicates"
)

// Config says what to store and how. The zero value of every field means its default.
type Config struct {
	// Group shares the partitions among the processes that have the same. Default "analytics"; another generation gets its
	// number appended.
	Group eventlog.Group
	// Generation is the set of tables to fill. Default 1.
	Generation int
	// Shadow leaves the public names to another generation.
	Shadow bool
	// A block is stored when it has MaxRows rows, MaxBytes bytes in memory, or is MaxAge old. Defaults 500,000, 64 MiB, 1 s.
	MaxRows, MaxBytes int
	MaxAge            time.Duration
	// Concurrency bounds the blocks that are being inserted at a time, of all topics together. Default 4.
	Concurrency int
	// Drain bounds the wait for a block that is being stored when its partition is given up. Default 10 s.
	Drain time.Duration
	// SessionTimeout is how long a process that is not heard of keeps its partitions. Default 45 s, at least 1 s.
	SessionTimeout time.Duration
	// Retries say how far back a report that is sent again is recognised. All processes that share the log must have the same.
	Retries duplicates.Limits
	// Retention is how long rows are kept after their time. The zero Retention keeps everything for ever.
	Retention Retention
	// DedupWindow is how many inserts of each table are remembered, see the package's document. Default 10,000. It counts when
	// a table is created.
	DedupWindow int
	// NoSync leaves it to the operating system when an insert reaches the disk: faster, and a power cut can take rows whose
	// offset is committed. It counts when a table is created; replicated tables never wait for the disk.
	NoSync bool
}

// Retention is in days per table; 0 keeps the rows for ever. Whole parts are dropped, once all their rows are due.
type Retention struct {
	Readings, Reports, Duplicates, Minutes, Hours, Days, Devices int
}

func (c Config) withDefaults() Config {
	set(&c.Group, "analytics")
	set(&c.Generation, 1)
	set(&c.MaxRows, 500_000)
	set(&c.MaxBytes, 64<<20)
	set(&c.MaxAge, time.Second)
	set(&c.Concurrency, 4)
	set(&c.DedupWindow, 10_000)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names the flag to change.
func (c Config) Validate() error {
	r := c.Retention
	switch {
	case c.Generation < 0 || c.Generation > 9999:
		return errors.New("--generation is a number from 1 to 9999")
	case c.MaxRows < 0 || c.MaxBytes < 0 || c.MaxAge < 0 || c.Concurrency < 0:
		return errors.New("bounds of a block are positive: see --block-rows, --block-bytes, --block-age, --block-concurrency")
	case c.SessionTimeout != 0 && c.SessionTimeout < time.Second:
		return errors.New("--session-timeout is at least a second")
	case min(r.Readings, r.Reports, r.Duplicates, r.Minutes, r.Hours, r.Days, r.Devices) < 0:
		return errors.New("--retention is in days, 0 keeps rows for ever")
	case c.DedupWindow < 0 || c.DedupWindow > 0 && c.DedupWindow < 100:
		return errors.New("--dedup-window is at least 100")
	}
	return c.Retries.Validate()
}
