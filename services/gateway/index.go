package gateway

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
)

// index is the window of one partition, and how far it has come. Whoever waits for an offset waits like this:
//
//  1. It looks at next under the lock, and takes the channel that is closed at the next progress.
//  2. If next is not far enough it waits for that channel, and begins again. Progress between 1 and 2 has closed it already.
type index struct {
	asked atomic.Int64 // when it was last asked for, in nanoseconds since the Unix epoch

	mu       sync.Mutex
	limits   duplicates.Limits
	window   *duplicates.Window
	topicID  eventlog.TopicID
	next     eventlog.Offset // everything before it has been folded
	complete eventlog.Offset // the window is, once next is here; -1 until that is known
	changed  chan struct{}   // closed at the next progress
}

func newIndex(limits duplicates.Limits) *index {
	return &index{limits: limits, window: duplicates.New(limits), complete: -1, changed: make(chan struct{})}
}

// begin says which offset is read first, and where the partition ended by then.
func (x *index) begin(first, end eventlog.Offset) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next, x.complete = first, end
	x.asked.Store(time.Now().UnixNano())
}

// add folds a record that takes part.
func (x *index) add(r *eventlog.Record, id duplicates.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if known := x.topicID != (eventlog.TopicID{}); known && x.topicID != r.TopicID { // deleted and created again: another log
		x.window, x.complete = duplicates.New(x.limits), 0
	}
	x.topicID = r.TopicID
	x.window.Add(id, int64(r.Offset), schemas.TimeOf(r.Timestamp))
}

// passed says that everything before an offset has been folded.
func (x *index) passed(next eventlog.Offset) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.next = next
	close(x.changed)
	x.changed = make(chan struct{})
}

// reached waits until the record at an offset has been folded, on a window that is complete. It returns false if ctx ends
// before.
func (x *index) reached(ctx context.Context, offset eventlog.Offset) bool {
	for {
		x.mu.Lock()
		there, changed := x.complete >= 0 && x.next >= x.complete && x.next > offset, x.changed
		x.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// known tells whether a record that were appended now would be a duplicate, and of which.
func (x *index) known(id duplicates.ID, now schemas.Time) (original eventlog.Offset, duplicate bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.complete < 0 || x.next < x.complete {
		return 0, false
	}
	first, duplicate := x.window.Find(id, int64(x.next), now)
	return eventlog.Offset(first), duplicate
}

// decided tells what was decided about the record at an offset that has been reached.
func (x *index) decided(id duplicates.ID, offset eventlog.Offset) (original eventlog.Offset, duplicate bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	first, duplicate := x.window.Decided(id, int64(offset))
	return eventlog.Offset(first), duplicate
}

// idle returns how long nobody has asked. An index that is not complete yet is not idle.
func (x *index) idle(now time.Time) time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.complete < 0 || x.next < x.complete {
		return 0
	}
	return time.Duration(now.UnixNano() - x.asked.Load())
}

func (x *index) size() (entries, bytes int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.window.Entries(), x.window.Bytes()
}
