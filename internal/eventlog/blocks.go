package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// BlockOptions says which blocks to cut from which topic.
type BlockOptions struct {
	// Group shares the partitions among its members and remembers how far each is stored. Required.
	Group Group
	// Topic to read. Required.
	Topic Topic
	// A block is cut when it reaches any of these. Defaults 500,000 records, 500,000 rows, 64 MiB, 1 s.
	MaxRecords, MaxRows, MaxBytes int
	MaxAge                        time.Duration
	// Drain bounds the wait for a block that is being stored when the partition is given up. Default 10 s.
	Drain time.Duration
	// SessionTimeout is how long a member that is not heard of keeps its partitions. Default 45 s. Brokers bound it, Kafka's
	// own from 6 s to 30 min unless told otherwise.
	SessionTimeout time.Duration
}

func (o BlockOptions) withDefaults() BlockOptions {
	set(&o.MaxRecords, 500_000)
	set(&o.MaxRows, 500_000)
	set(&o.MaxBytes, 64<<20)
	set(&o.MaxAge, time.Second)
	set(&o.Drain, 10*time.Second)
	set(&o.SessionTimeout, 45*time.Second)
	return o
}

// Block is a contiguous range of one partition that is stored as one.
type Block struct {
	Topic     Topic
	TopicID   TopicID
	Partition Partition
	// First and Last are the offsets of its first and last record, both included.
	First, Last Offset
	// Again says that an earlier owner announced the same block: it may be stored already, in part or whole.
	Again bool
}

// String returns topic/partition@first-last.
func (b Block) String() string {
	return fmt.Sprintf("%s/%d@%d-%d", b.Topic, b.Partition, b.First, b.Last)
}

// Sink stores blocks somewhere else, exactly once if its Storers keep their promise.
type Sink interface {
	// Fold opens the fold of a partition. It is used by one goroutine, for as long as this member owns the partition.
	Fold(topic Topic, id TopicID, p Partition) Fold
}

// Fold turns the records of a partition into blocks. It must be deterministic: the same records between the same
// boundaries give the same block, today and after a restart. One that is an io.Closer is closed when the partition is given up.
type Fold interface {
	// Add folds r into the open block and returns the rows and bytes the block has now. r is valid until Add returns. An
	// error means that the world is bad: the same record is offered again after a while. Bad data is the fold's own affair.
	Add(ctx context.Context, r *Record) (rows, bytes int, err error)
	// Seal closes the open block and begins an empty one. What it returns stores the closed block, while Add may
	// already fill the next.
	Seal(b Block) Storer
}

// Storer stores one sealed block.
type Storer interface {
	// Store returns nil when the block is durable. It is called again until it does, or ctx ends, and must leave the
	// same state however often it ran, here or for an equal block in another process.
	Store(ctx context.Context) error
}

// Blocks reads a topic as a member of a group and stores it block by block, exactly once.
//
// What happens to a block, and what a crash leaves behind after each step:
//
//  1. Records are folded in memory. Crash: nothing happened; the next owner reads from the committed offset.
//  2. The block is announced: one commit sets the group's offset to the block's first record and the commit's metadata to
//     "first-last@topic id". The same commit confirms the block before it. Crash: the next owner reads the announcement and
//     cuts exactly this block first, whatever its own bounds.
//  3. The block is stored. Crash half way: the next owner stores an equal block, and the Storer's idempotence
//     removes what was there.
//  4. The next announcement, or a commit of last+1, confirms it. Crash before: as in 3.
//
// A commit is fenced by member and generation, not by partition, so the owner's rule is kept here: a partition that
// is revoked finishes its step 3 and 4 before the revocation is answered; one that is lost is forgotten first, under a
// lock that every commit holds; and a member that was given a new identity starts from the committed offsets again.
type Blocks struct {
	log  *Log
	opts BlockOptions
	sink Sink

	mu      sync.Mutex
	session *session
}

// Blocks returns a reader that Run starts.
func (l *Log) Blocks(o BlockOptions, s Sink) (*Blocks, error) {
	if o.Group == "" || o.Topic == "" {
		return nil, errors.New("read blocks: group and topic are required")
	}
	return &Blocks{log: l, opts: o.withDefaults(), sink: s}, nil
}

// Run reads and stores until ctx ends, then finishes the blocks that are being stored, leaves the group and returns nil.
func (b *Blocks) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := b.runSession(ctx)
		if ctx.Err() == nil && !errors.Is(err, errStale) {
			return err
		}
		b.log.logger.Info("left the group", "topic", b.opts.Topic, "cause", err)
	}
	return nil
}

// Lag returns how many records of the partitions this member owns are not stored yet.
func (b *Blocks) Lag() int64 {
	b.mu.Lock()
	s := b.session
	b.mu.Unlock()
	if s == nil {
		return 0
	}
	return s.lag()
}

func (b *Blocks) runSession(ctx context.Context) error {
	s := &session{blocks: b, workers: map[Partition]*worker{}}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	defer s.cancel(nil)
	client, err := b.log.newMember(s.options()...)
	if err != nil {
		return fmt.Errorf("read blocks of %q: %w", b.opts.Topic, err)
	}
	s.client = client.Client
	b.mu.Lock()
	b.session = s
	b.mu.Unlock()
	var watching sync.WaitGroup
	watching.Go(s.watchLag)
	defer func() {
		s.cancel(nil)
		watching.Wait()
	}()
	defer client.leave(b.opts.Drain) // revokes every partition, which drains its worker
	return s.poll()
}
