package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/schemas"
)

// ErrFenced says that another Transactor with the same id was opened after this one, or that the brokers gave up on a
// transaction that took too long. Unless the error is ErrUnconfirmed too, nothing of it is in the log, nor ever will be.
var ErrFenced = errors.New("another transactor with the same id has taken over")

// TransactionID names what at most one process does at a time, without the installation's prefix: "deadletters".
type TransactionID string

// transactionTimeout bounds how long the open transaction of a process that died holds up readers: they wait at its first
// record until the brokers abort it. The next Transactor with the same id aborts it at once.
const transactionTimeout = 15 * time.Second

// Transactor appends in transactions, one after the other, under an id that only one process holds at a time (KIP-98,
// KIP-360, KIP-890). It belongs to one goroutine. Close it.
//
// What happens, and what a crash leaves behind after each step:
//
//  1. Transactor is opened: the brokers finish or abort the transaction of an earlier holder, and refuse whatever that one
//     sends from then on. When Log.Transactor returns, nothing that an earlier holder did is undecided.
//  2. The caller reads what it decides on, to the end. [Log.Read] reads on until everything that was there when it began
//     is decided, so it sees all that earlier holders committed.
//  3. Run: records are appended, but readers do not see them. Crash: they are aborted, by the next holder or after 15 s.
//  4. The brokers are asked to commit. Crash before they have noted it: as in 3. Crash after: all of it is committed.
//
// A decision made in step 2 and appended in step 3 is therefore made once, however many processes try at the same time: one
// that is fenced has appended nothing.
type Transactor struct {
	log    *Log
	id     TransactionID
	client *kgo.Client
	ended  error // why it is of no use any more
}

// Transactor takes over a transaction id. It waits for an earlier holder's transaction to be finished or aborted.
func (l *Log) Transactor(ctx context.Context, id TransactionID) (*Transactor, error) {
	name := l.cfg.Prefix + string(id)
	client, err := kgo.NewClient(append(l.clientOptions(),
		kgo.TransactionalID(name),
		kgo.TransactionTimeout(transactionTimeout),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(int32(l.cfg.MaxEventBytes)+batchOverhead),
		kgo.MaxBufferedRecords(l.cfg.MaxBufferedRecords),
		kgo.MaxBufferedBytes(l.cfg.MaxBufferedBytes),
		kgo.RecordDeliveryTimeout(l.cfg.Confirm),
		kgo.ProduceRequestTimeout(l.cfg.Confirm),
		kgo.RecordPartitioner(placement{kgo.StickyKeyPartitioner(nil)}),
	)...)
	if err != nil {
		return nil, fmt.Errorf("make transactor %q: %w", id, err)
	}
	bound, cancel := context.WithTimeout(ctx, l.cfg.Confirm+transactionTimeout)
	defer cancel()
	if _, _, err := client.ProducerID(bound); err != nil {
		client.Close()
		return nil, fmt.Errorf("take over transaction id %q: %w", name, err)
	}
	return &Transactor{log: l, id: id, client: client}, nil
}

// Close ends the use of the id. A transaction under way is aborted by the next holder, or by the brokers.
func (t *Transactor) Close() { t.client.Close() }

// Run runs do and commits what it appended, all or nothing. When it returns nil, every reader that begins sees all of it, unless the
// brokers were busier than the confirmation time: then soon. If do returns an error, or an append fails, it is
// aborted and the error is returned. ErrFenced means that t is of no use any more; ErrUnconfirmed, that moreover nobody can tell
// whether it was committed: open another Transactor and look.
//
// The time from the first append to the end of do is bounded by 15 s: longer transactions are aborted.
//
// A consumer that reads, decides and appends commits its offsets in the same transaction (KIP-447): a method of Tx beside
// Append, which needs the member and generation of the group, is where that belongs.
func (t *Transactor) Run(ctx context.Context, do func(tx *Tx) error) error {
	if t.ended != nil {
		return t.ended
	}
	if err := t.client.BeginTransaction(); err != nil {
		return t.end(t.failed("begin", err))
	}
	tx := &Tx{transactor: t, ctx: context.WithoutCancel(ctx)}
	err := do(tx)
	if err == nil {
		err = tx.flush(ctx)
	}
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.log.cfg.Confirm)
	defer cancel()
	if err != nil {
		return errors.Join(err, t.abort(bound))
	}
	return t.commit(bound, tx)
}

func (t *Transactor) abort(ctx context.Context) error {
	if err := t.client.AbortBufferedRecords(ctx); err != nil {
		return t.end(t.failed("abort", err))
	}
	if err := t.client.EndTransaction(ctx, kgo.TryAbort); err != nil {
		return t.end(t.failed("abort", err))
	}
	return nil
}

// end remembers why nothing more can be done with the id.
func (t *Transactor) end(err error) error {
	t.ended = err
	return err
}

func (t *Transactor) commit(ctx context.Context, tx *Tx) error {
	for _, k := range tx.records {
		if err := t.known(ctx, k.Topic, k.Partition); err != nil {
			return errors.Join(err, t.abort(ctx))
		}
	}
	err := t.client.EndTransaction(ctx, kgo.TryCommit)
	switch {
	case err == nil:
		tx.count()
		t.log.decide(ctx, tx.records)
		return nil
	case errors.Is(err, kerr.OperationNotAttempted), errors.Is(err, kerr.TransactionAbortable):
		return errors.Join(t.failed("commit", err), t.abort(ctx))
	}
	// The brokers may have noted the commit before the answer was lost, also when a repeated request is then refused.
	return t.end(fmt.Errorf("%w: %w", t.failed("commit", err), ErrUnconfirmed))
}

// known waits until the client has noted that a topic has a partition, to which it has appended already. What happens without
// (franz-go 1.22.2, the first transaction that appends to a topic):
//
//  1. The client learns of the topic's partitions, and hands over the records that wait for that (storePartitionsUpdate).
//  2. They are sent and confirmed. Flush returns.
//  3. EndTransaction looks among the topic's partitions for one that was appended to. It finds none, takes it that nothing was,
//     aborts, and returns nil.
//  4. The client notes the partitions of step 1.
func (t *Transactor) known(ctx context.Context, topic string, p int32) error {
	for wait := time.NewTimer(0); ; wait.Reset(time.Millisecond) {
		if leader, epoch, _ := t.client.PartitionLeader(topic, p); leader >= 0 || epoch >= 0 {
			return nil
		}
		select {
		case <-wait.C:
		case <-ctx.Done():
			return fmt.Errorf("commit transaction %q: %s/%d is not known yet: %w", t.id, topic, p, ctx.Err())
		}
	}
}

// failed turns Kafka's words into ours.
func (t *Transactor) failed(doing string, err error) error {
	switch {
	case fenced(err):
		return fmt.Errorf("%s transaction %q: %w: %w", doing, t.id, ErrFenced, err)
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		return fmt.Errorf("%s transaction %q: %w: %w", doing, t.id, ErrTooLarge, err)
	}
	return fmt.Errorf("%s transaction %q: %w", doing, t.id, err)
}

func fenced(err error) bool {
	return errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.InvalidProducerIDMapping)
}

// Tx is a transaction under way. It ends when the function it was given to returns.
type Tx struct {
	transactor *Transactor
	ctx        context.Context
	records    []*kgo.Record
	topics     []Topic

	mu  sync.Mutex
	err error // the first failure of an append
}

// Append adds an event. It encodes at once: event may be reused. The error says what is wrong with the event; whether it
// could be appended is told by Run.
func (tx *Tx) Append(event schemas.Event) error { return tx.AppendTo(ByKey, event) }

// AppendTo is Append to a partition that the caller chooses: the one of what event is about, which its key need not lead to.
// The traceparent header continues the event's trace.
func (tx *Tx) AppendTo(p Partition, event schemas.Event) error {
	batch := &Batch{log: tx.transactor.log}
	batch.SetTraceparent(traceparent(event.Head().TraceID))
	if err := batch.Add(event); err != nil {
		return err
	}
	e := &batch.entries[0]
	e.record.Partition = int32(p)
	tx.send(e.topic, &e.record)
	return nil
}

// Repeat adds a record again as it is: to the same topic and partition, with the same key, value and headers in order, and
// more headers after them. The record must have been in that partition, since the order of its key depends on it; in a
// topic that was created anew, its partition is ByKey.
func (tx *Tx) Repeat(r *Record, more ...schemas.Header) {
	k := &kgo.Record{Topic: tx.transactor.log.fullName(r.Topic), Partition: int32(r.Partition), Key: r.Key, Value: r.Value}
	for _, list := range [][]schemas.Header{r.Headers, more} {
		for _, h := range list {
			k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	tx.send(r.Topic, k)
}

func (tx *Tx) send(topic Topic, k *kgo.Record) {
	tx.records, tx.topics = append(tx.records, k), append(tx.topics, topic)
	tx.transactor.client.Produce(tx.ctx, k, func(_ *kgo.Record, err error) {
		if err == nil {
			return
		}
		tx.mu.Lock()
		defer tx.mu.Unlock()
		if tx.err == nil {
			tx.err = err
		}
	})
}

// flush waits until every record is confirmed and returns the first failure.
func (tx *Tx) flush(ctx context.Context) error {
	bound, cancel := context.WithTimeout(ctx, tx.transactor.log.cfg.Confirm)
	defer cancel()
	err := tx.transactor.client.Flush(bound)
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if tx.err != nil {
		err = tx.err
	}
	if err != nil {
		return tx.transactor.failed("append in", err)
	}
	return nil
}

func (tx *Tx) count() {
	m := tx.transactor.log.metrics
	for i, k := range tx.records {
		m.appended.WithLabelValues(string(tx.topics[i])).Inc()
		m.appendedBytes.WithLabelValues(string(tx.topics[i])).Add(float64(len(k.Value)))
	}
}

// ByKey in place of a partition lets the key decide.
const ByKey Partition = -1

// placement puts a record where it says, or where its key belongs.
type placement struct{ keyed kgo.Partitioner }

// ForTopic implements kgo.Partitioner.
func (p placement) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPlacement{p.keyed.ForTopic(topic)}
}

type topicPlacement struct{ keyed kgo.TopicPartitioner }

// RequiresConsistency implements kgo.TopicPartitioner: a partition without a leader is waited for.
func (topicPlacement) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner.
func (p topicPlacement) Partition(r *kgo.Record, n int) int {
	if r.Partition != int32(ByKey) {
		return int(r.Partition)
	}
	return p.keyed.Partition(r, n)
}
