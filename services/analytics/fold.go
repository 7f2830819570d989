package analytics

import (
	"context"
	"errors"
	"math"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/readings"
	"github.com/fieldlog/fieldlog/schemas"
)

// fold turns one partition's records into blocks.
type fold struct {
	sink    *sink
	decoder *eventlog.Decoder[schemas.TelemetryReported]
	report  schemas.TelemetryReported
	open    *block

	redriven redriven
	retries  retries
}

// maxGroups is the number of inserts a block should take. One with more is cut at once: late data of many months.
const maxGroups = 16

// Add implements eventlog.Fold. A bad record becomes a dead letter of the block.
func (f *fold) Add(ctx context.Context, r *eventlog.Record) (rows, bytes int, err error) {
	if err := f.add(ctx, r); err != nil {
		return 0, 0, err
	}
	b := f.open
	if b.rows.Groups() > maxGroups {
		return math.MaxInt, b.rows.Bytes(), nil
	}
	return b.rows.Rows() + len(b.letters), b.rows.Bytes() + b.kept, nil
}

func (f *fold) add(ctx context.Context, r *eventlog.Record) error {
	f.redriven.begin(r.Offset)
	if id, own := r.SenderID(); own {
		original, duplicate, err := f.retries.decide(ctx, r, id)
		if err != nil {
			return err
		}
		if duplicate {
			f.redriven.leaveOut(r.Offset)
			f.open.rows.AddDuplicate(readings.Duplicate{
				Offset: int64(r.Offset), Original: original, Key: r.Key, EventID: id.ID, Appended: schemas.TimeOf(r.Timestamp),
			})
			return nil
		}
	}
	return f.store(ctx, r)
}

// store folds a record that repeats no other.
func (f *fold) store(ctx context.Context, r *eventlog.Record) error {
	err := f.decoder.Decode(ctx, r, &f.report)
	if err == nil {
		err = f.addReport(ctx, r)
	}
	var refusal *eventlog.Refusal
	var violation *readings.Violation
	switch {
	case err == nil:
		f.open.newest = max(f.open.newest, f.report.ReceivedTime)
	case errors.As(err, &refusal):
		f.bury(r, refusal.Reason, refusal.Err)
	case errors.As(err, &violation):
		f.bury(r, schemas.ReasonInvalid, violation)
	default:
		return err
	}
	return nil
}

func (f *fold) addReport(ctx context.Context, r *eventlog.Record) error {
	superfluous, err := f.superfluous(ctx, r)
	if err != nil {
		return err
	}
	if superfluous {
		f.redriven.leaveOut(r.Offset)
		f.sink.metrics.superfluous.Inc()
		return nil
	}
	return f.open.rows.Add(int64(r.Offset), &f.report)
}

// bury makes a letter of a record.
func (f *fold) bury(r *eventlog.Record, reason schemas.Reason, cause error) {
	f.redriven.leaveOut(r.Offset)
	f.open.bury(f.sink.letter(r, reason, cause))
}

// Seal implements eventlog.Fold.
func (f *fold) Seal(b eventlog.Block) eventlog.Storer {
	sealed := f.open
	f.open = f.sink.free.Get().(*block)
	f.redriven.sealed()
	return &store{sink: f.sink, of: b, block: sealed}
}

// Close implements io.Closer.
func (f *fold) Close() error {
	f.retries.forget()
	return nil
}
