package eventlog

import (
	"context"
	"time"
)

// Known lets a test wait for what commits wait for.
func (t *Transactor) Known(ctx context.Context, topic Topic, p Partition) error {
	return t.known(ctx, t.log.fullName(topic), int32(p))
}

// SetSubjectsClock lets a test say what time it is for the registered schemas that are remembered.
func (l *Log) SetSubjectsClock(now func() time.Time) { l.subjects.now = now }
