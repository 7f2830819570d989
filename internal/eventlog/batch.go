package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/schemas"
)

// Result is what became of one event. Position is valid when Err is nil.
type Result struct {
	Position
	// Err is nil, or wraps ErrOverloaded, ErrTooLarge or ErrUnconfirmed.
	Err error
}

// Batch collects events and appends them together. It belongs to one goroutine.
//
// Its memory is used again after Release; that is what makes an append free of allocation in the steady state.
type Batch struct {
	log         *Log
	entries     []entry
	headers     []kgo.RecordHeader // of all entries
	arena       []byte             // keys, values and header values of all entries
	traceparent []byte
	attributes  []kgo.RecordHeader // of the events added from now on
	results     []Result

	mu        sync.Mutex // guards the fields below and entries' outcome while the brokers have them
	pending   int
	done      chan struct{}
	abandoned bool
}

// entry is an event on its way. The record comes first: a promise gets a pointer to it and finds the entry there.
type entry struct {
	record kgo.Record
	topic  Topic
	batch  *Batch
	err    error
	told   bool
}

// NewBatch returns an empty batch. Release it.
func (l *Log) NewBatch() *Batch { return l.batches.Get().(*Batch) }

// SetTraceparent sets the W3C traceparent header of the events added from now on; empty leaves it out.
func (b *Batch) SetTraceparent(value string) {
	b.arena = append(b.arena, value...)
	b.traceparent = b.tail(len(value))
}

// SetAttributes sets further CloudEvents attributes of the events added from now on, each a header ce_name; none takes them away.
func (b *Batch) SetAttributes(attributes []schemas.Label) {
	b.attributes = b.attributes[:0]
	for _, a := range attributes {
		b.attributes = append(b.attributes, kgo.RecordHeader{Key: "ce_" + a.Name, Value: b.text(a.Value)})
	}
}

// Len returns the number of events added.
func (b *Batch) Len() int { return len(b.entries) }

// Add encodes an event, which may be reused afterwards. The error wraps ErrTooLarge, or says what is wrong with the event;
// the batch is then as it was.
func (b *Batch) Add(event schemas.Event) error { return b.add(event, false) }

// AddRetryable is Add for an event whose id is its sender's own, see HeaderRetryable.
func (b *Batch) AddRetryable(event schemas.Event) error { return b.add(event, true) }

func (b *Batch) add(event schemas.Event, own bool) error {
	kind, start := event.Kind(), len(b.arena)
	arena, err := b.log.codecs.encode(b.arena, event)
	if err != nil {
		return err
	}
	b.arena = arena
	value, err := b.value(start, kind.Fact)
	if err != nil {
		return err
	}
	start = len(b.arena)
	b.arena = event.AppendKey(b.arena)
	key := b.tail(len(b.arena) - start)
	b.entries = append(b.entries, entry{
		topic:  Topic(kind.Topic),
		record: kgo.Record{Topic: b.log.topicNames[Topic(kind.Topic)], Key: key, Value: value, Headers: b.describe(identityOf(kind, event.Head(), own))},
	})
	return nil
}

// value returns what was encoded into the arena from start on, or takes it back where it is too large.
func (b *Batch) value(start int, name string) ([]byte, error) {
	size := len(b.arena) - start
	if size > b.log.cfg.MaxEventBytes {
		b.arena = b.arena[:start]
		return nil, fmt.Errorf("append %q of %d bytes, %d are allowed: %w", name, size, b.log.cfg.MaxEventBytes, ErrTooLarge)
	}
	return b.tail(size), nil
}

// tail returns the last n bytes of the arena. They stay where they are when the arena grows into new memory.
func (b *Batch) tail(n int) []byte { return b.arena[len(b.arena)-n : len(b.arena) : len(b.arena)] }

// identity is what an event's headers say of it.
type identity struct {
	id     string
	kind   schemas.Subject
	source string
	time   time.Time // zero is not told
	own    bool      // the id is the sender's
}

func identityOf(kind schemas.Kind, head *schemas.Envelope, own bool) identity {
	return identity{id: head.EventID, kind: kind.Subject, source: SourceOf(head), time: head.EventTime.Time(), own: own}
}

// describe returns an event's headers: the CloudEvents Kafka protocol binding in binary mode, the trace, and whether the id is
// the sender's own.
func (b *Batch) describe(e identity) []kgo.RecordHeader {
	start := len(b.headers)
	b.headers = append(b.headers,
		kgo.RecordHeader{Key: "ce_specversion", Value: ceVersion},
		kgo.RecordHeader{Key: "content-type", Value: ceContentType},
		kgo.RecordHeader{Key: "ce_id", Value: b.text(e.id)},
		kgo.RecordHeader{Key: "ce_type", Value: b.text(string(e.kind))},
		kgo.RecordHeader{Key: "ce_source", Value: b.text(e.source)},
	)
	if !e.time.IsZero() {
		b.headers = append(b.headers, kgo.RecordHeader{Key: "ce_time", Value: b.instant(e.time)})
	}
	b.headers = append(b.headers, b.attributes...)
	if len(b.traceparent) > 0 {
		b.headers = append(b.headers, kgo.RecordHeader{Key: "traceparent", Value: b.traceparent})
	}
	if e.own {
		b.headers = append(b.headers, kgo.RecordHeader{Key: HeaderRetryable, Value: retryable})
	}
	return b.headers[start:len(b.headers):len(b.headers)]
}

var (
	ceVersion     = []byte("1.0")
	ceContentType = []byte("application/avro")
)

func (b *Batch) text(s string) []byte {
	b.arena = append(b.arena, s...)
	return b.tail(len(s))
}

func (b *Batch) instant(t time.Time) []byte {
	start := len(b.arena)
	b.arena = t.AppendFormat(b.arena, time.RFC3339Nano)
	return b.tail(len(b.arena) - start)
}

// Commit appends what was added and waits until each event is confirmed by every in-sync replica, refused, or the
// confirmation time or ctx ends. It returns one result an event, in the order of Add, valid until Release.
// Events of one key keep their order, also against earlier commits that returned before this one began.
func (b *Batch) Commit(ctx context.Context) []Result {
	b.pending, b.done = len(b.entries), make(chan struct{})
	if b.pending == 0 {
		return nil
	}
	for i := range b.entries { // addresses are stable from here on
		b.entries[i].batch = b
	}
	producer := b.log.appender.Load()
	for i := range b.entries {
		producer.TryProduce(context.WithoutCancel(ctx), &b.entries[i].record, confirm)
	}
	timeout := time.NewTimer(b.log.cfg.Confirm)
	defer timeout.Stop()
	select {
	case <-b.done:
	case <-timeout.C:
	case <-ctx.Done():
	}
	results := b.collect()
	if slices.ContainsFunc(results, func(r Result) bool { return errors.Is(r.Err, kerr.UnknownTopicID) }) {
		b.log.replace(producer)
	}
	return results
}

// confirm is the promise of every entry.
func confirm(r *kgo.Record, err error) {
	e := (*entry)(unsafe.Pointer(r)) // r is the entry's first field
	b := e.batch
	b.mu.Lock()
	e.err, e.told = err, true
	b.pending--
	if b.pending == 0 {
		close(b.done)
	}
	b.mu.Unlock()
}

func (b *Batch) collect() []Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.abandoned = b.pending > 0
	b.results = b.results[:0]
	for i := range b.entries {
		e := &b.entries[i]
		result := Result{Err: e.outcome()}
		if result.Err == nil {
			result.Position = Position{Topic: e.topic, Partition: Partition(e.record.Partition), Offset: Offset(e.record.Offset)}
		}
		b.count(e, result.Err)
		b.results = append(b.results, result)
	}
	return b.results
}

// outcome turns Kafka's words into ours.
func (e *entry) outcome() error {
	switch {
	case !e.told:
		return fmt.Errorf("append to %q: %w", e.topic, ErrUnconfirmed)
	case e.err == nil:
		return nil
	case errors.Is(e.err, kgo.ErrMaxBuffered):
		return fmt.Errorf("append to %q: %w", e.topic, ErrOverloaded)
	case errors.Is(e.err, kerr.MessageTooLarge), errors.Is(e.err, kerr.RecordListTooLarge):
		return fmt.Errorf("append to %q: %w: %w", e.topic, ErrTooLarge, e.err)
	}
	return fmt.Errorf("append to %q: %w: %w", e.topic, ErrUnconfirmed, e.err)
}

func (b *Batch) count(e *entry, err error) {
	m, topic := b.log.metrics, string(e.topic)
	switch {
	case err == nil:
		m.appended.WithLabelValues(topic).Inc()
		m.appendedBytes.WithLabelValues(topic).Add(float64(len(e.record.Value)))
	case errors.Is(err, ErrOverloaded):
		m.refused.WithLabelValues(topic, "overloaded").Inc()
	case errors.Is(err, ErrTooLarge):
		m.refused.WithLabelValues(topic, "too_large").Inc()
	default:
		m.refused.WithLabelValues(topic, "unconfirmed").Inc()
	}
}

// maxKept bounds the memory a released batch keeps for the next one.
const maxKept = 16 << 20

// Release gives the batch's memory back. Neither it nor its results may be used afterwards.
func (b *Batch) Release() {
	b.mu.Lock()
	abandoned := b.abandoned
	b.mu.Unlock()
	if abandoned || cap(b.arena) > maxKept {
		return // the brokers may still read it, or it is too large to keep
	}
	clear(b.entries)
	clear(b.headers)
	b.entries, b.headers, b.arena, b.traceparent, b.attributes = b.entries[:0], b.headers[:0], b.arena[:0], nil, nil
	b.log.batches.Put(b)
}

// Append appends one event. See Batch.Commit for order and errors.
func (l *Log) Append(ctx context.Context, event schemas.Event) (Position, error) {
	batch := l.NewBatch()
	defer batch.Release()
	if err := batch.Add(event); err != nil {
		return Position{}, err
	}
	result := batch.Commit(ctx)[0]
	return result.Position, result.Err
}
