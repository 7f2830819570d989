package eventlog

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/pause"
)

// worker folds and stores one partition, for as long as this member owns it.
type worker struct {
	session   *session
	partition Partition
	topicID   TopicID
	member    string // the identity under which the partition was assigned
	fold      Fold
	inbox     inbox

	again     *announcement // a block that an earlier owner announced, cut first and just so
	recreated bool
	highWater atomic.Int64
	stored    atomic.Int64 // every record before it is stored

	ctx      context.Context // ends when the partition is no longer ours
	cancel   context.CancelFunc
	gone     atomic.Bool // nothing may be committed any more
	draining chan struct{}
	drainers sync.Once
	done     chan struct{}

	// The rest belongs to run's goroutine.
	pending []*kgo.Record // taken from the inbox, not folded yet
	open    openBlock
	age     *time.Timer
	busy    chan error // a block is being stored or an offset committed; nil when idle
	storing Block
	next    Offset // every record before it is stored
	passed  Offset // the offset after the last marker of a transaction
	settled bool   // the group's offset says so too
	commit  Offset // the offset that is being committed
	view    Record
}

// openBlock is the block being filled.
type openBlock struct {
	first, last          Offset
	records, rows, bytes int
	due                  bool
}

func newWorker(s *session, p Partition, id TopicID, member string) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	w := &worker{
		session: s, partition: p, topicID: id, member: member,
		fold: s.blocks.sink.Fold(s.blocks.opts.Topic, id, p),
		ctx:  ctx, cancel: cancel,
		draining: make(chan struct{}), done: make(chan struct{}),
		age: time.NewTimer(time.Hour), settled: true,
	}
	w.inbox.ready = make(chan struct{}, 1)
	w.age.Stop()
	return w
}

// drain asks the worker to finish what it is storing and stop.
func (w *worker) drain() { w.drainers.Do(func() { close(w.draining) }) }

// abandon forbids every further commit and stops the worker. A commit under way holds the session's lock for reading: it
// was made under the old generation, and is over before abandon returns.
func (w *worker) abandon() {
	w.cancel()
	w.session.mu.Lock()
	w.gone.Store(true)
	w.session.mu.Unlock()
	<-w.done
}

// run is the worker's life: fold what arrives, store what is due, one block at a time.
func (w *worker) run() {
	defer close(w.done)
	defer w.cancel()
	if fold, closes := w.fold.(io.Closer); closes {
		defer fold.Close()
	}
	w.stored.Store(int64(w.next))
	for w.ctx.Err() == nil {
		w.foldPending()
		if w.busy == nil && w.open.due {
			w.seal()
		}
		if w.busy == nil && !w.settled {
			w.settle()
		}
		var ready chan struct{}
		if len(w.pending) == 0 && !w.open.due {
			ready = w.inbox.ready
		}
		select {
		case <-w.ctx.Done():
		case <-w.draining:
			w.finish()
			return
		case err := <-w.busy:
			w.finished(err)
		case <-ready:
			w.receive()
		case <-w.age.C:
			w.open.due = w.open.records > 0 && w.again == nil
		}
	}
}

func (w *worker) receive() {
	records, resume := w.inbox.take()
	w.pending = records
	if resume {
		w.session.resume(w.partition)
	}
}

// foldPending folds records until a block is due or none is left.
func (w *worker) foldPending() {
	var retry pause.Backoff
	for len(w.pending) > 0 && !w.open.due && w.ctx.Err() == nil {
		k := w.pending[0]
		if k.Attrs.IsControl() {
			w.pass(Offset(k.Offset))
			w.taken()
			continue
		}
		if w.again != nil && Offset(k.Offset) > w.again.last {
			w.boundary()
			continue
		}
		w.view.fill(w.session.blocks.opts.Topic, w.topicID, k)
		rows, bytes, err := w.fold.Add(w.ctx, &w.view)
		if err != nil {
			w.complain("fold a record", err)
			retry.Wait(w.ctx)
			continue
		}
		retry.Reset()
		w.added(Offset(k.Offset), rows, bytes)
		w.taken()
	}
}

// taken forgets the first of the pending records.
func (w *worker) taken() {
	w.pending[0].Recycle()
	w.pending[0] = nil
	w.pending = w.pending[1:]
}

// pass notes the marker that ends a transaction, which is a record of the log but not an event. Without it a partition
// that ends in one would never be stored to its end.
func (w *worker) pass(marker Offset) {
	w.passed = marker + 1
	w.advance()
}

// advance counts the markers behind the last block as stored, once that block is and nothing lies between.
func (w *worker) advance() {
	storing := w.busy != nil && w.storing != (Block{})
	if storing || w.open.records > 0 || w.again != nil || w.passed <= w.next {
		return
	}
	w.next, w.settled = w.passed, false
	w.stored.Store(int64(w.next))
}

// boundary is reached when a record lies beyond the announced block.
func (w *worker) boundary() {
	if w.open.records > 0 {
		w.open.due = true
		return
	}
	w.session.blocks.log.logger.Error("an announced block is no longer in the log; was the retention shorter than the outage?",
		"topic", w.session.blocks.opts.Topic, "partition", w.partition, "first", w.again.first, "last", w.again.last)
	w.again = nil
}

func (w *worker) added(offset Offset, rows, bytes int) {
	b, o := &w.open, &w.session.blocks.opts
	if b.records == 0 {
		b.first = offset
		w.age.Reset(o.MaxAge)
	}
	b.last, b.records, b.rows, b.bytes = offset, b.records+1, rows, bytes
	if w.again != nil {
		b.due = offset == w.again.last
		return
	}
	b.due = b.records >= o.MaxRecords || rows >= o.MaxRows || bytes >= o.MaxBytes
}

// seal closes the open block and begins to store it.
func (w *worker) seal() {
	block := Block{
		Topic: w.session.blocks.opts.Topic, TopicID: w.topicID, Partition: w.partition,
		First: w.open.first, Last: w.open.last,
	}
	if w.again != nil {
		block.First, block.Last, block.Again = w.again.first, w.again.last, true
		w.again = nil
	}
	storer := w.fold.Seal(block)
	w.open, w.storing = openBlock{}, block
	w.age.Stop()
	w.busy = make(chan error, 1)
	go func(answer chan<- error) { answer <- w.store(block, storer) }(w.busy)
}

// store announces the block, which also confirms everything before it, and stores it.
func (w *worker) store(block Block, storer Storer) error {
	note := announcement{block: true, first: block.First, last: block.Last, topicID: w.topicID.String()}
	if err := w.persist("announce a block", func() error {
		return w.session.commit(w.ctx, w, block.First, note)
	}); err != nil {
		return err
	}
	return w.persist("store a block", func() error { return storer.Store(w.ctx) })
}

// settle commits the offset after the last stored block.
func (w *worker) settle() {
	w.busy = make(chan error, 1)
	w.storing = Block{}
	next := w.next
	w.commit = next
	go func(answer chan<- error) {
		answer <- w.persist("commit an offset", func() error {
			return w.session.commit(w.ctx, w, next, announcement{topicID: w.topicID.String()})
		})
	}(w.busy)
}

// finished takes note of what became of the work that was going on.
func (w *worker) finished(err error) {
	w.busy = nil
	if err != nil {
		w.cancel()
		if errors.Is(err, errStale) {
			w.session.cancel(err)
		}
		return
	}
	if w.storing == (Block{}) {
		w.settled = w.next == w.commit // else a marker came meanwhile
		return
	}
	m, topic := w.session.blocks.log.metrics, string(w.storing.Topic)
	m.blocks.WithLabelValues(topic).Inc()
	if w.storing.Again {
		m.blocksRepeated.WithLabelValues(topic).Inc()
	}
	w.next, w.settled = w.storing.Last+1, false
	w.stored.Store(int64(w.next))
	w.advance()
}

// finish waits for what is being stored and commits it. The open block is dropped: the next owner reads it again.
func (w *worker) finish() {
	for w.ctx.Err() == nil && (w.busy != nil || !w.settled) {
		if w.busy == nil {
			w.settle()
		}
		select {
		case <-w.ctx.Done():
		case err := <-w.busy:
			w.finished(err)
		}
	}
}

// persist tries until it succeeds, the partition is no longer ours, or the member is stale.
func (w *worker) persist(doing string, try func() error) error {
	var retry pause.Backoff
	for {
		err := try()
		if err == nil || errors.Is(err, errLost) || errors.Is(err, errStale) || w.ctx.Err() != nil {
			return err
		}
		w.complain(doing, err)
		retry.Wait(w.ctx)
	}
}

func (w *worker) complain(doing string, err error) {
	o := w.session.blocks.opts
	w.session.blocks.log.metrics.storeRetries.WithLabelValues(string(o.Topic)).Inc()
	w.session.blocks.log.logger.Warn("will try again", "doing", doing, "topic", o.Topic, "partition", w.partition, "error", err)
}
