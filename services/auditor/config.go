package auditor

import (
	"context"
	"errors"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Config says what to hold against what. The zero value of every optional field means its default.
type Config struct {
	// Tables tells where the rows of telemetry are. It is asked at every audit, so that a change of generation is followed. Required.
	Tables func(ctx context.Context) (Tables, error)
	// Storer is the origin of the dead letters that excuse a record from being stored. Default "analytics".
	Storer string

	// From is how far back the first audit of Run reaches. Default 1 h.
	From time.Duration
	// Every is the time from the beginning of one audit of Run to that of the next. Default 1 m.
	Every time.Duration
	// Overlap is how far each audit of Run reaches back into the one before, so that receipts which are written down later than
	// their records are counted. Default 1 m.
	Overlap time.Duration
}

// Tables are those of one generation.
type Tables struct {
	Generation int
	// Group is the consumer group whose offsets say what is stored.
	Group eventlog.Group
	// Readings, Reports and Duplicates are the names of the tables, with database, quoted.
	Readings, Reports, Duplicates string
	// ReadingsFrom, ReportsFrom and DuplicatesFrom are the times before which rows may be gone by the tables' retention; the zero
	// time is never.
	ReadingsFrom, ReportsFrom, DuplicatesFrom time.Time
}

func (c Config) withDefaults() Config {
	set(&c.Storer, "analytics")
	set(&c.From, time.Hour)
	set(&c.Every, time.Minute)
	set(&c.Overlap, time.Minute)
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
	switch {
	case c.Tables == nil:
		return errors.New("the auditor is not told where the tables are")
	case c.Every < 0:
		return errors.New("--every is positive")
	case c.From < 0:
		return errors.New("--from is a time in the past")
	}
	return nil
}

// Window is a span of time: From <= t < To. A record belongs to it by its place in the log: it begins, in each partition, with the
// first record whose timestamp is From or later, and ends before the first whose timestamp is To or later.
type Window struct {
	// From is where it begins; the zero time is the oldest record.
	From time.Time
	// To is where it ends; the zero time is the end of the log.
	To time.Time
}
