package analytics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/projections/readings"
	"github.com/fieldlog/fieldlog/schemas"
)

// orderSink stores what happened to orders, a row a fact, as sink stores readings: a block's rows of a month are one insert and one
// token, its dead letters come after them.
type orderSink struct{ *sink }

// orderTopics are the topics of facts about orders.
func orderTopics() []eventlog.Topic {
	return []eventlog.Topic{eventlog.TopicClients, eventlog.TopicProvisioning}
}

// Fold implements eventlog.Sink.
func (s orderSink) Fold(eventlog.Topic, eventlog.TopicID, eventlog.Partition) eventlog.Fold {
	return &orderFold{sink: s.sink, events: s.log.NewEvents()}
}

// orderFold turns one partition's facts into blocks.
type orderFold struct {
	sink   *sink
	events *eventlog.Events
	open   orderBlock
}

// orderBlock is what the records of one eventlog.Block became.
type orderBlock struct {
	months  []*orderRows // in the order in which they came
	letters block        // only these
	rows    int
	bytes   int
}

// Add implements eventlog.Fold. A bad record becomes a dead letter of the block.
func (f *orderFold) Add(ctx context.Context, r *eventlog.Record) (rows, bytes int, err error) {
	event, err := f.events.Decode(ctx, r)
	var refusal *eventlog.Refusal
	if err != nil && !errors.As(err, &refusal) {
		return 0, 0, err
	}
	b := &f.open
	row, is := clients.Row{}, false
	if refusal == nil {
		row, is = clients.RowOf(event)
	}
	switch {
	case refusal != nil:
		b.letters.bury(f.sink.letter(r, refusal.Reason, refusal.Err))
	case !is:
		b.letters.bury(f.sink.letter(r, schemas.ReasonWrongEvent, fmt.Errorf("%q is no fact about an order", event.Kind().Fact)))
	default:
		b.month(row).add(row, r)
		b.rows, b.bytes = b.rows+1, b.bytes+len(r.Value)+orderRowBytes
	}
	return b.rows + len(b.letters.letters), b.bytes + b.letters.kept, nil
}

const orderRowBytes = 200 // of a row beside its texts, roughly

// Seal implements eventlog.Fold.
func (f *orderFold) Seal(of eventlog.Block) eventlog.Storer {
	sealed := f.open
	f.open = orderBlock{}
	return &orderStore{store: store{sink: f.sink, of: of, block: &sealed.letters}, months: sealed.months}
}

// month returns the rows of the month that a row belongs to. Times that the table cannot hold count as its first or last.
func (b *orderBlock) month(row clients.Row) *orderRows {
	at := readings.MonthOf(min(max(row.Time, readings.MinTime), readings.MaxTime))
	for _, m := range b.months {
		if m.month == at {
			return m
		}
	}
	m := &orderRows{month: at, texts: make([][]byte, len(orderTexts))}
	b.months = append(b.months, m)
	return m
}

// orderTexts are the columns that are texts.
var orderTexts = []struct {
	name string
	of   func(*clients.Row) string
}{
	{"client", func(r *clients.Row) string { return r.Client }},
	{"order_id", func(r *clients.Row) string { return r.OrderID }},
	{"kind", func(r *clients.Row) string { return r.Kind }},
	{"state", func(r *clients.Row) string { return r.State }},
	{"namespace", func(r *clients.Row) string { return r.Namespace }},
	{"environment", func(r *clients.Row) string { return r.Environment }},
	{"archtype", func(r *clients.Row) string { return r.Archtype }},
	{"hardware", func(r *clients.Row) string { return r.Hardware }},
	{"product", func(r *clients.Row) string { return r.Product }},
	{"reason", func(r *clients.Row) string { return r.Reason }},
	{"detail", func(r *clients.Row) string { return r.Detail }},
	{"backend", func(r *clients.Row) string { return r.Backend }},
	{"author", func(r *clients.Row) string { return r.Author }},
	{"event_id", func(r *clients.Row) string { return r.EventID }},
	{"trace_id", func(r *clients.Row) string { return r.TraceID }},
}

// orderRows are the rows of one month, in the order of their offsets.
type orderRows struct {
	month                         readings.Month
	texts                         [][]byte // packed, as orderTexts
	version, step, steps, attempt []int32
	time                          []int64
	offset                        []uint64
	client, order, event          string // of the first row
}

func (m *orderRows) add(row clients.Row, r *eventlog.Record) {
	if len(m.offset) == 0 {
		m.client, m.order, m.event = strings.Clone(row.Client), strings.Clone(row.OrderID), strings.Clone(row.EventID)
	}
	for i := range orderTexts {
		text := orderTexts[i].of(&row)
		m.texts[i] = append(binary.AppendUvarint(m.texts[i], uint64(len(text))), text...)
	}
	m.version, m.step, m.steps, m.attempt = append(m.version, row.Version), append(m.step, row.Step), append(m.steps, row.Steps), append(m.attempt, row.Attempt)
	m.time = append(m.time, int64(min(max(row.Time, readings.MinTime), readings.MaxTime)))
	m.offset = append(m.offset, uint64(r.Offset))
}

// orderStore stores one sealed block.
type orderStore struct {
	store
	months   []*orderRows
	inserted int
}

// Store implements eventlog.Storer. A repeated call goes on where the last one failed.
func (s *orderStore) Store(ctx context.Context) error {
	if err := s.sink.enter(ctx); err != nil {
		return err
	}
	defer s.sink.leave()
	for ; s.inserted < len(s.months); s.inserted++ {
		if err := s.insert(ctx, s.group(s.months[s.inserted])); err != nil {
			s.sink.metrics.failures.WithLabelValues(string(clickhouse.ClassOf(err))).Inc()
			return fmt.Errorf("store block %s: %w", s.of, err)
		}
	}
	if err := s.bury(ctx); err != nil {
		s.sink.metrics.failures.WithLabelValues(string(classLog)).Inc()
		return err
	}
	s.sink.metrics.blocks.Inc()
	if s.of.Again {
		s.sink.metrics.again.Inc()
	}
	return nil
}

// group returns the insert of one month.
func (s *orderStore) group(m *orderRows) group {
	table, n := tableOf("order_facts", s.sink.cfg.Generation), len(m.offset)
	columns := make([]clickhouse.Column, 0, 8+len(orderTexts))
	columns = append(columns, []clickhouse.Column{
		{Name: "version", Type: "Int32", Data: clickhouse.Numbers(m.version)},
		{Name: "time", Type: micros, Data: clickhouse.Numbers(m.time)},
		{Name: "step", Type: "Int32", Data: clickhouse.Numbers(m.step)},
		{Name: "steps", Type: "Int32", Data: clickhouse.Numbers(m.steps)},
		{Name: "attempt", Type: "Int32", Data: clickhouse.Numbers(m.attempt)},
		{Name: "topic", Type: lowCardinality, Data: clickhouse.Same(string(s.of.Topic), n)},
		{Name: "partition", Type: "UInt32", Data: clickhouse.SameUint32(uint32(s.of.Partition), n)},
		{Name: "offset", Type: "UInt64", Data: clickhouse.Numbers(m.offset)},
	}...)
	for i, text := range orderTexts {
		columns = append(columns, clickhouse.Column{Name: text.name, Type: "String", Data: clickhouse.Packed(m.texts[i], n)})
	}
	return group{
		InsertOptions: clickhouse.InsertOptions{Table: table, Token: s.token(table, m.month), Rows: n, Columns: columns},
		witness:       func() witness { return s.factsWitness(m) },
	}
}

// factsWitness is told by the event's id from one of a topic that was deleted and created again.
func (s *orderStore) factsWitness(m *orderRows) witness {
	return witness{
		fmt.Sprintf("client = ? AND order_id = ? AND topic = ? AND `offset` = %d AND partition = %d AND event_id = ?", m.offset[0], s.of.Partition),
		[]any{m.client, m.order, string(s.of.Topic), m.event},
	}
}
