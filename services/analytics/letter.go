package analytics

import (
	"context"
	"fmt"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

const service = "analytics"

// letter tells of a record that cannot be stored. It copies what it keeps.
func (s *sink) letter(r *eventlog.Record, reason schemas.Reason, cause error) schemas.DeadLetter {
	return *s.log.NewDeadLetter(service, s.host, r, reason, cause)
}

// bury adds a letter to the block.
func (b *block) bury(l schemas.DeadLetter) {
	b.letters = append(b.letters, l)
	b.kept += len(l.Key) + len(l.Value) + len(l.Detail) + letterBytes
}

const letterBytes = 500 // of a letter beside its key, value and detail, roughly

// send appends the letters that are not in the log yet and returns them as far as they still are not.
func (s *sink) send(ctx context.Context, letters []schemas.DeadLetter) ([]schemas.DeadLetter, error) {
	batch := s.log.NewBatch()
	defer batch.Release()
	for i := range letters {
		if err := batch.Add(&letters[i]); err != nil {
			return letters, fmt.Errorf("bury %s/%d@%d: %w", letters[i].Topic, letters[i].Partition, letters[i].Offset, err)
		}
	}
	var failed error
	var left []schemas.DeadLetter
	for i, result := range batch.Commit(ctx) {
		if result.Err != nil {
			left, failed = append(left, letters[i]), result.Err
			continue
		}
		s.metrics.letters.WithLabelValues(string(letters[i].Reason)).Inc()
	}
	return left, failed
}
