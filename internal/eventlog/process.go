package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/internal/pause"
)

// Processor decides what follows from the inputs of one partition. It belongs to one goroutine. When anything fails it is thrown
// away with all it remembers, and another one is opened.
type Processor interface {
	// Restore takes a record of the state that earlier owners committed. All of them come, oldest first, before Next is asked.
	Restore(ctx context.Context, r *Record) error
	// Next returns where to go on in each input: the offset after the last one that the restored state reflects.
	Next() map[Topic]Offset
	// Process appends what follows from inputs, and the state that reflects them, to the partition of the same number. It may
	// change what the Processor remembers: when the transaction fails, nobody asks for it any more.
	Process(ctx context.Context, tx *Tx, inputs []*Record) error
	// Committed is called when what Process appended last is in the log.
	Committed()
}

// ProcessOptions says what is processed.
type ProcessOptions struct {
	// Group shares the partitions among its members. Required.
	Group Group
	// Owner begins the transaction ids, which end in the partition's number. Default: the group's name. Processes of one owner
	// fence each other, whatever their groups.
	Owner TransactionID
	// Inputs are read, State is written and restored from. All have the same number of partitions. Required.
	Inputs []Topic
	State  Topic
	// MaxRecords bounds the inputs of a transaction. Default 500.
	MaxRecords int
	// Open returns the Processor of a partition. Required.
	Open func(p Partition) Processor
}

// Process consumes, decides and produces, exactly once. What happens to the inputs of a partition, and what a crash leaves
// behind after each step:
//
//  1. The group gives the partition to this member. Crash, or the group is wrong about who is alive: nothing depends on it.
//  2. The transaction id "<owner>-<partition>" is taken over: what an earlier owner had under way is committed or aborted, and
//     whatever it still sends is refused. Crash: the next owner does the same.
//  3. The state's partition is read to its end. All that earlier owners committed is in it, and how far in the inputs they
//     were. Crash: nothing was changed.
//  4. Inputs are read from there. What follows from some of them, and the state that reflects them, are appended in one
//     transaction. Crash before its commit is noted: it is aborted in step 2 of the next owner, who reads the inputs again.
//     Crash after: the next owner finds it in step 3 and goes on behind it.
//
// Progress is in the state, not in the group's offsets: a commit of an offset is fenced by member and generation but not by
// partition, and an operator may set it back. Here two owners at a time cannot both decide (the earlier is fenced by step 2), and
// no group that is reset or lost makes an input count twice. The group's offsets are committed besides, about once a second, for whoever
// looks how far it is.
//
// A failure ends what a partition has in memory and starts it over at step 2 after a while, that partition only.
type Process struct {
	log  *Log
	opts ProcessOptions

	mu  sync.Mutex
	lag map[Partition]int64
}

// Process returns a process that Run starts.
func (l *Log) Process(o ProcessOptions) (*Process, error) {
	if o.Group == "" || len(o.Inputs) == 0 || o.State == "" || o.Open == nil {
		return nil, errors.New("process: group, inputs, state and open are required")
	}
	set(&o.Owner, TransactionID(o.Group))
	set(&o.MaxRecords, 500)
	return &Process{log: l, opts: o, lag: map[Partition]int64{}}, nil
}

// Run processes until ctx ends, then lets the transactions under way end and returns nil.
func (p *Process) Run(ctx context.Context) error {
	var retry pause.Backoff
	for ctx.Err() == nil {
		err := p.log.share(ctx, p.opts.Group, p.opts.Inputs[0], p.own)
		if err == nil {
			return nil
		}
		p.log.logger.Warn("cannot share partitions for now", "group", p.opts.Group, "error", err)
		retry.Wait(ctx)
	}
	return nil
}

// Lag returns how many records of the partitions this member owns are not processed yet.
func (p *Process) Lag() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lag int64
	for _, n := range p.lag {
		lag += n
	}
	return lag
}

func (p *Process) behind(partition Partition, records int64) {
	p.mu.Lock()
	if p.lag[partition] = records; records == 0 {
		delete(p.lag, partition)
	}
	p.mu.Unlock()
	p.log.metrics.lag.WithLabelValues(string(p.opts.Inputs[0]), string(p.opts.Group)).Set(float64(p.Lag()))
}

// fencedWait is how long a fenced owner waits before it takes a partition over again: the group should say meanwhile who has it.
const fencedWait = 5 * time.Second

// own processes a partition for as long as this member has it.
func (p *Process) own(ctx context.Context, partition Partition, note func(Topic, Offset)) error {
	defer p.behind(partition, 0)
	var retry pause.Backoff
	for ctx.Err() == nil {
		progress, err := p.hold(ctx, partition, note)
		if ctx.Err() != nil {
			return nil
		}
		if progress {
			retry.Reset()
		}
		p.log.metrics.transactions.WithLabelValues(string(p.opts.Group), "failed").Inc()
		p.log.logger.Warn("will take over anew", "group", p.opts.Group, "partition", partition, "error", err)
		wait := retry.Next()
		if errors.Is(err, ErrFenced) {
			wait += fencedWait
		}
		pause.For(ctx, wait)
	}
	return nil
}

// hold is steps 2 to 4. It tells whether it got through a transaction, and returns with the first failure or when ctx ends.
func (p *Process) hold(ctx context.Context, partition Partition, note func(Topic, Offset)) (progress bool, err error) {
	transactor, err := p.log.Transactor(ctx, TransactionID(fmt.Sprintf("%s-%d", p.opts.Owner, partition)))
	if err != nil {
		return false, err
	}
	defer transactor.Close()
	processor := p.opts.Open(partition)
	for r, err := range p.log.Read(ctx, ReadOptions{Topic: p.opts.State, Partitions: []Partition{partition}}) {
		if err != nil {
			return false, err
		}
		if err := processor.Restore(ctx, r); err != nil {
			return false, fmt.Errorf("restore from %s: %w", r.Position, err)
		}
	}
	if ctx.Err() != nil {
		return false, ctx.Err() // the state may be incomplete
	}
	feed, err := p.log.newFeed(partition, p.opts.Inputs, processor.Next())
	if err != nil {
		return false, err
	}
	defer feed.close()
	feed.passed = func() {
		p.behind(partition, feed.lag())
		for topic, at := range feed.at {
			note(topic, at)
		}
	}
	feed.passed()
	for {
		inputs, err := feed.next(ctx, p.opts.MaxRecords)
		if err != nil {
			return progress, err
		}
		p.behind(partition, feed.lag()+int64(len(inputs)))
		if err := transactor.Run(ctx, func(tx *Tx) error { return processor.Process(ctx, tx, inputs) }); err != nil {
			return progress, fmt.Errorf("process %d inputs from %s: %w", len(inputs), inputs[0].Position, err)
		}
		processor.Committed()
		progress = true
		feed.passed()
		p.log.metrics.transactions.WithLabelValues(string(p.opts.Group), "committed").Inc()
		p.log.metrics.processed.WithLabelValues(string(p.opts.Group)).Add(float64(len(inputs)))
	}
}
