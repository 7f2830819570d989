package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
)

// receipts counts what the log confirmed, and appends it to the log as events of its own. The audit holds them against the log.
// What happens to a confirmed record, and what a crash leaves behind after each step:
//
//  1. The log confirms it. Crash: it is in the log, in no receipt, and nobody was answered.
//  2. It is counted in the open tally, then the request is answered. Crash: at most one interval of records is in the
//     log and in no receipt. The audit calls them unclaimed, which is no difference.
//  3. The tally is sealed as an event with the next sequence number. Crash: as in 2.
//  4. The event is appended, again and again as it is until the log confirms it. Crash: it is there, once or more; receipts
//     say which offsets, so that saying it twice says the same.
//
// The ids of the topics are asked for before and after each seal. An offset is attributed to a topic only if that had the same id
// before the interval began and after it ended.
//
// Memory is bounded: while an event cannot be appended only the open tally grows, up to mostRanges, beyond which records
// are not counted (a metric tells). When Kafka as a whole is away nothing is confirmed, so nothing is counted.
type receipts struct {
	log       Log
	every     time.Duration
	lastWrite time.Duration
	instance  string
	host      string
	logger    *slog.Logger
	metrics   *metrics
	full      chan struct{} // the open tally should be written down before its time

	mu   sync.Mutex
	open *tally

	// The rest belongs to run's goroutine.
	spare    *tally
	sequence int64
	ids      map[eventlog.Topic]eventlog.TopicID // as they were before the open interval began
	unsent   []*schemas.ReceiptsCounted
}

func newReceipts(cfg Config, log Log, logger *slog.Logger, m *metrics) *receipts {
	r := &receipts{
		log: log, every: cfg.ReceiptsEvery, lastWrite: cfg.LastReceipts, instance: rand.Text(), host: cfg.Host, logger: logger, metrics: m,
		full: make(chan struct{}, 1), open: newTally(), spare: newTally(),
	}
	r.open.begun = time.Now()
	return r
}

// count notes what the log confirmed of a request.
func (r *receipts) count(results []eventlog.Result, items []item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range results {
		if results[i].Err == nil {
			r.open.add(results[i].Position, items[i].readings)
		}
	}
	if r.open.ranges >= fullRanges {
		select {
		case r.full <- struct{}{}:
		default: // told already
		}
	}
}

// run writes receipts down until ctx ends, then a last time. identify should have been called before the first count.
func (r *receipts) run(ctx context.Context) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-r.full:
		case <-ctx.Done():
			continue
		}
		r.write(ctx)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.lastWrite)
	defer cancel()
	r.write(last)
}

// identify learns the ids of the topics before anything is counted.
func (r *receipts) identify(ctx context.Context) {
	ids, err := r.log.TopicIDs(ctx, r.topics()...)
	if err != nil {
		r.logger.Warn("cannot ask for the topics' ids yet", "error", err)
	}
	r.ids = ids
}

// topics are those whose ids are kept: the declared ones, and what else is being counted.
func (r *receipts) topics() []eventlog.Topic {
	var topics []eventlog.Topic
	seen := map[eventlog.Topic]bool{}
	add := func(t eventlog.Topic) {
		if !seen[t] {
			seen[t], topics = true, append(topics, t)
		}
	}
	for _, spec := range eventlog.Topics() {
		add(spec.Name)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.open.counts {
		add(p.topic)
	}
	return topics
}

// write appends what was counted. What the log does not take now is tried again at the next call, before anything newer.
func (r *receipts) write(ctx context.Context) {
	err := r.send(ctx)
	if err == nil {
		if err = r.seal(ctx); err == nil {
			err = r.send(ctx)
		}
	}
	if err != nil {
		r.metrics.receiptsFailed.Inc()
		r.logger.Warn("receipts are not written down yet", "error", err)
	}
}

// seal makes events of the open tally and begins another.
func (r *receipts) seal(ctx context.Context) error {
	topics := r.topics()
	before, err := r.log.TopicIDs(ctx, topics...)
	if err != nil {
		return err
	}
	sealed, end := r.swap()
	after, err := r.log.TopicIDs(ctx, topics...)
	if err != nil {
		r.logger.Warn("receipts of an interval tell no topic's id", "error", err)
	}
	r.describe(sealed, end, after)
	r.ids = before
	r.metrics.receiptsDropped.Add(float64(sealed.dropped))
	sealed.reset()
	r.spare = sealed
	return nil
}

// swap ends the open interval.
func (r *receipts) swap() (sealed *tally, end time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sealed, end = r.open, time.Now()
	r.open = r.spare
	r.open.begun = end
	return sealed, end
}

// describe adds what was counted to what is to be sent, in events of at most fullRanges ranges.
func (r *receipts) describe(t *tally, end time.Time, after map[eventlog.Topic]eventlog.TopicID) {
	var event *schemas.ReceiptsCounted
	room := 0
	for p, c := range t.counts {
		if c.records == 0 {
			continue
		}
		c.merge()
		id := ""
		if now, known := after[p.topic]; known && r.ids[p.topic] == now {
			id = now.String()
		}
		for ranges, records := c.ranges, c.records; len(ranges) > 0; {
			if room == 0 {
				event, room = r.begin(t.begun, end), fullRanges
			}
			n := min(room, len(ranges))
			part := schemas.PartitionReceipts{Topic: string(p.topic), TopicID: id, Partition: int32(p.partition), Ranges: spans(ranges[:n])}
			part.Records = offsets.Set(ranges[:n]).Len()
			if records == c.records {
				part.Readings = c.readings // told once, with the first of several parts
			}
			event.Partitions = append(event.Partitions, part)
			ranges, room, records = ranges[n:], room-n, records-part.Records
		}
	}
}

func spans(ranges []eventlog.Range) []schemas.OffsetRange {
	spans := make([]schemas.OffsetRange, len(ranges))
	for i, r := range ranges {
		spans[i] = schemas.OffsetRange{First: int64(r.First), Last: int64(r.Next) - 1}
	}
	return spans
}

// begin returns the next event, which is sent after those before it.
func (r *receipts) begin(from, to time.Time) *schemas.ReceiptsCounted {
	r.sequence++
	event := &schemas.ReceiptsCounted{
		Envelope: schemas.Envelope{
			EventID: fmt.Sprintf("%s-%d", r.instance, r.sequence), EventType: "fieldlog.gateway.receipts.counted",
			EventTime: schemas.TimeOf(to), ReceivedTime: schemas.TimeOf(time.Now()), Origin: "gateway", Host: r.host, Publisher: "fieldlog",
		},
		Instance: r.instance, Sequence: r.sequence, FromTime: schemas.TimeOf(from), ToTime: schemas.TimeOf(to),
	}
	r.unsent = append(r.unsent, event)
	return event
}

// send appends the events that are not in the log yet, in order, and stops at the first that the log does not confirm.
func (r *receipts) send(ctx context.Context) error {
	for len(r.unsent) > 0 {
		if err := r.append(ctx, r.unsent[0]); err != nil {
			return fmt.Errorf("append receipts %d: %w", r.unsent[0].Sequence, err)
		}
		r.metrics.receiptsWritten.Inc()
		r.unsent[0] = nil
		r.unsent = r.unsent[1:]
	}
	r.unsent = nil
	return nil
}

func (r *receipts) append(ctx context.Context, event *schemas.ReceiptsCounted) error {
	batch := r.log.NewBatch()
	defer batch.Release()
	if err := batch.Add(event); err != nil {
		return err
	}
	return batch.Commit(ctx)[0].Err
}
