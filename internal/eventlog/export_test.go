package eventlog

import "time"

// SetSubjectsClock lets a test say what time it is for the registered schemas that are remembered.
func (l *Log) SetSubjectsClock(now func() time.Time) { l.subjects.now = now }
