package gateway

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
)

// Followable is the log as far as retries need it. *eventlog.Log is one.
type Followable interface {
	// Follow returns a reader of a topic that has no partitions yet.
	Follow(topic eventlog.Topic) (*eventlog.Follower, error)
	// PartitionOf returns the partition, of so many, that a key's events are appended to.
	PartitionOf(key []byte, partitions int) eventlog.Partition
	// Ends returns the offsets that each partition has.
	Ends(ctx context.Context, topic eventlog.Topic) (map[eventlog.Partition]eventlog.Range, error)
	// FirstSince returns the offset before which every record lies before from and is older than since.
	FirstSince(ctx context.Context, topic eventlog.Topic, p eventlog.Partition, from eventlog.Offset, since time.Time) (eventlog.Offset, error)
}

// retries knows of reports with ids of their senders' own whether they repeat an earlier one, whichever gateway took
// that. It folds the partitions that such reports went to, as analytics does, so that the answer says what analytics decides:
//
//  1. The first such report of a partition is appended, and begins an index of it: the window before the partition's end is
//     read, then what is appended is followed.
//  2. A report that a complete index has already is not appended: its answer is the position of the one it repeats.
//  3. Any other is appended, at N. Its answer waits until the index has come to N, and says what was decided there: of two
//     gateways that append the same report at the same time, the later offset is the duplicate for both.
//
// Crash, or a log that cannot be read: the sender gets no answer, or one that does not say that its report is a duplicate.
// What is stored does not depend on it: analytics decides by itself.
type retries struct {
	log    Followable
	limits duplicates.Limits
	logger *slog.Logger

	partitions atomic.Int64 // of the topic; 0 until known
	mu         sync.Mutex
	following  *following // nil while nobody follows
}

// following is one run.
type following struct {
	ctx      context.Context
	follower *eventlog.Follower
	indexes  map[eventlog.Partition]*index
	starting sync.WaitGroup
}

const retriedTopic = eventlog.TopicTelemetry

// open lets indexes begin, without a word to the log yet. What it returns fills them, until ctx ends.
func (r *retries) open(ctx context.Context) (fill func()) {
	follower, err := r.log.Follow(retriedTopic)
	if err != nil {
		r.logger.Error("retries will not be told", "error", err)
		return func() {}
	}
	f := &following{ctx: ctx, follower: follower, indexes: map[eventlog.Partition]*index{}}
	r.follow(f)
	return func() { r.run(f) }
}

func (r *retries) run(f *following) {
	var retry pause.Backoff
	for f.ctx.Err() == nil {
		if err := f.follower.Poll(f.ctx, r.take, r.passed); err != nil && f.ctx.Err() == nil {
			r.logger.Warn("cannot follow the log for now", "error", err)
			retry.Wait(f.ctx)
		} else {
			retry.Reset()
		}
		r.retire(f)
	}
	r.follow(nil)
	f.starting.Wait()
	f.follower.Close()
}

func (r *retries) follow(f *following) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.following = f
}

// retire gives up the indexes that were not asked for as long as the window: the next report with an id begins anew. A
// partition to which nothing is appended keeps its index, which costs nothing then.
func (r *retries) retire(f *following) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p, x := range f.indexes {
		if x.idle(time.Now()) > r.limits.Age {
			f.follower.Remove(p)
			delete(f.indexes, p)
		}
	}
}

// index returns the index of a partition, nil if there is none.
func (r *retries) index(p eventlog.Partition) *index {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.following == nil {
		return nil
	}
	return r.following.indexes[p]
}

// begin returns the index of a partition, and begins it if need be; nil while nobody follows.
func (r *retries) begin(p eventlog.Partition) *index {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.following
	if f == nil {
		return nil
	}
	x := f.indexes[p]
	if x == nil {
		x = newIndex(r.limits)
		f.indexes[p] = x
		f.starting.Go(func() { r.start(f, p, x) })
	}
	x.asked.Store(time.Now().UnixNano())
	return x
}

// start finds where an index begins, for as long as it takes.
func (r *retries) start(f *following, p eventlog.Partition, x *index) {
	var retry pause.Backoff
	for f.ctx.Err() == nil {
		first, end, err := r.reach(f.ctx, p)
		if err == nil {
			x.begin(first, end)
			f.follower.Add(p, first)
			return
		}
		r.logger.Warn("cannot look for retries yet", "partition", p, "error", err)
		retry.Wait(f.ctx)
	}
}

// reach returns where the window of a partition's next record begins, and where the partition ends.
func (r *retries) reach(ctx context.Context, p eventlog.Partition) (first, end eventlog.Offset, err error) {
	ends, err := r.log.Ends(ctx, retriedTopic)
	if err != nil {
		return 0, 0, err
	}
	r.partitions.Store(int64(len(ends)))
	end = ends[p].Next
	from, since := r.limits.Reach(int64(end), schemas.TimeOf(time.Now()))
	first, err = r.log.FirstSince(ctx, retriedTopic, p, eventlog.Offset(from), since.Time())
	return first, end, err
}

// take folds a record.
func (r *retries) take(record *eventlog.Record) {
	id, own := record.SenderID()
	if !own {
		return
	}
	if x := r.index(record.Partition); x != nil {
		x.add(record, duplicates.Identify(record.Key, id.Source, id.ID))
	}
}

func (r *retries) passed(p eventlog.Partition, next eventlog.Offset) {
	if x := r.index(p); x != nil {
		x.passed(next)
	}
}

// known tells whether a report is in the log already, and where.
func (r *retries) known(key []byte, id duplicates.ID) (p eventlog.Partition, original eventlog.Offset, duplicate bool) {
	partitions := r.partitions.Load()
	if partitions == 0 {
		return 0, 0, false
	}
	p = r.log.PartitionOf(key, int(partitions))
	x := r.index(p)
	if x == nil {
		return p, 0, false
	}
	now := time.Now()
	x.asked.Store(now.UnixNano())
	original, duplicate = x.known(id, schemas.TimeOf(now))
	return p, original, duplicate
}

// decided tells what was decided about a report that was just appended. sure is false if that is not known before ctx ends.
func (r *retries) decided(ctx context.Context, at eventlog.Position, id duplicates.ID) (original eventlog.Offset, duplicate, sure bool) {
	x := r.begin(at.Partition)
	if x == nil || !x.reached(ctx, at.Offset) {
		return 0, false, false
	}
	original, duplicate = x.decided(id, at.Offset)
	return original, duplicate, true
}

// size returns the reports that are remembered, and their memory.
func (r *retries) size() (entries, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.following == nil {
		return 0, 0
	}
	for _, x := range r.following.indexes {
		n, size := x.size()
		entries, bytes = entries+n, bytes+size
	}
	return entries, bytes
}
