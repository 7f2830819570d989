// Package story tells what belongs to one trace, in the order in which it happened: the inputs and facts of the log, and the
// reports that ClickHouse has under it.
//
// # Promises
//
//   - Every record since the asked time whose trace id is that of the trace is told, as far as retention has left it: from orders,
//     clients and provisioning, which are kept for ever, from notifications, events and deadletters, which are kept for a year, and
//     from effects, of which the last record of each key is left.
//   - Telemetry is too much to read: its reports are found by ClickHouse's index of trace ids. Where ClickHouse does not answer, or is
//     behind, a note says so, and the rest is told.
//   - A trace id is told in any spelling: 32 hexadecimal digits, a UUID, or the sender's own.
//   - At most Limit chapters are told; a note says when there are more.
//   - Where the time is up, what was found until then is told; a note says what was not read.
package story

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// Limit bounds the chapters of a story.
const Limit = 2000

// Story is what is known of a trace.
type Story struct {
	Trace string `json:"trace_id"`
	// Chapters are in the order of their times, and within one topic and partition in that of the log.
	Chapters []Chapter `json:"chapters"`
	// Notes say what could not be told.
	Notes []string `json:"notes,omitempty"`
}

// Chapter is one thing that happened.
type Chapter struct {
	Time      time.Time `json:"time"`
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Key       string    `json:"key,omitempty"`
	Kind      string    `json:"kind"`
	Words
	Event json.RawMessage `json:"event,omitempty"`
}

// Tables answers queries. *clickhouse.Client is one.
type Tables interface {
	// Query runs a query; arguments replace ? in it. Close the rows.
	Query(ctx context.Context, query string, args ...any) (clickhouse.Rows, error)
	// Table returns a table's name with its database, quoted.
	Table(name string) string
}

// Teller tells stories. It is safe for concurrent use.
type Teller struct {
	log    *eventlog.Log
	tables Tables
}

// New returns a Teller. Without tables, reports of telemetry are not told.
func New(log *eventlog.Log, tables Tables) *Teller { return &Teller{log: log, tables: tables} }

// topics are those that are read, in the order of the flow.
var topics = []eventlog.Topic{
	eventlog.TopicOrders, eventlog.TopicClients, eventlog.TopicEffects, eventlog.TopicProvisioning, eventlog.TopicNotifications,
	eventlog.TopicEvents, eventlog.TopicDeadLetters,
}

// fetchBytes is what is taken from each broker at a time.
const fetchBytes = 4 << 20

// Tell returns the story of a trace since a time; the zero time is the beginning of the log. A deadline of ctx makes the story shorter,
// and is no error.
func (t *Teller) Tell(ctx context.Context, trace string, since time.Time) (*Story, error) {
	s := &Story{Trace: trace}
	from := eventlog.FromStart()
	if !since.IsZero() {
		from = eventlog.FromTime(since)
	}
	for _, topic := range topics {
		err := t.read(ctx, s, topic, from)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			s.Notes = append(s.Notes, fmt.Sprintf("not all was read: the time was up at topic %s; reports of telemetry were not looked up", topic))
			return s.sorted(), nil
		}
		if err != nil {
			return nil, err
		}
	}
	t.reports(ctx, s, since)
	return s.sorted(), nil
}

func (s *Story) sorted() *Story {
	slices.SortStableFunc(s.Chapters, func(a, b Chapter) int { return a.Time.Compare(b.Time) })
	return s
}

// read adds what a topic has. Values hold a trace id as its bytes, so that records of other traces need not be decoded.
func (t *Teller) read(ctx context.Context, s *Story, topic eventlog.Topic, from eventlog.From) error {
	spellings := spellingsOf(s.Trace)
	for r, err := range t.log.Read(ctx, eventlog.ReadOptions{Topic: topic, From: from, MaxFetch: fetchBytes}) {
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(spellings, func(id []byte) bool { return bytes.Contains(r.Value, id) }) {
			continue
		}
		chapter, err := t.chapter(ctx, r)
		var refusal *eventlog.Refusal
		switch {
		case errors.As(err, &refusal):
			continue // no event: a letter tells of it
		case err != nil:
			return fmt.Errorf("read %s: %w", r.Position, err)
		case !slices.ContainsFunc(spellings, func(id []byte) bool { return chapter.TraceID == string(id) }):
			continue
		case len(s.Chapters) == Limit:
			s.Notes = append(s.Notes, fmt.Sprintf("there is more on topic %s: only the first %d events are told", topic, Limit))
			return nil
		}
		s.Chapters = append(s.Chapters, *chapter)
	}
	return ctx.Err()
}

func (t *Teller) chapter(ctx context.Context, r *eventlog.Record) (*Chapter, error) {
	ref, err := t.log.SchemaOf(ctx, r)
	if err != nil {
		return nil, err
	}
	event, err := t.log.JSON(ctx, r)
	if err != nil {
		return nil, err
	}
	kind := string(ref.Subject)
	for _, known := range schemas.Kinds() {
		if known.Subject == ref.Subject {
			kind = known.Fact
		}
	}
	return &Chapter{
		Time: r.Timestamp.UTC(), Topic: string(r.Topic), Partition: int32(r.Partition), Offset: int64(r.Offset), Key: string(r.Key),
		Kind: kind, Words: Describe(kind, event), Event: event,
	}, nil
}

// spellingsOf returns how a trace id may be written: as it is, without hyphens, and as a UUID.
func spellingsOf(trace string) [][]byte {
	all := [][]byte{[]byte(trace)}
	plain := strings.ToLower(strings.ReplaceAll(trace, "-", ""))
	if len(plain) != 32 || strings.Trim(plain, "0123456789abcdef") != "" {
		return all
	}
	uuid := strings.Join([]string{plain[:8], plain[8:12], plain[12:16], plain[16:20], plain[20:]}, "-")
	for _, other := range []string{plain, uuid} {
		if other != trace {
			all = append(all, []byte(other))
		}
	}
	return all
}

// reports adds what ClickHouse has, or says why not.
func (t *Teller) reports(ctx context.Context, s *Story, since time.Time) {
	if t.tables == nil {
		s.Notes = append(s.Notes, "reports of telemetry are not looked up: no ClickHouse is given")
		return
	}
	if err := t.addReports(ctx, s, since); err != nil {
		s.Notes = append(s.Notes, fmt.Sprintf("reports of telemetry are not told: %v", err))
	}
}

func (t *Teller) addReports(ctx context.Context, s *Story, since time.Time) error {
	spellings := spellingsOf(s.Trace)
	ids := make([]string, len(spellings))
	for i, id := range spellings {
		ids[i] = string(id)
	}
	rows, err := t.tables.Query(ctx, "SELECT client, device, received_time, readings, topic, partition, `offset` FROM "+
		t.tables.Table("reports")+" WHERE trace_id IN (?) AND received_time >= fromUnixTimestamp64Micro(toInt64(?)) ORDER BY received_time LIMIT ?", ids, micros(since), Limit-len(s.Chapters)+1)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	for rows.Next() {
		var client, device, topic string
		var at time.Time
		var readings, partition uint32
		var offset uint64
		if err := rows.Scan(&client, &device, &at, &readings, &topic, &partition, &offset); err != nil {
			return err
		}
		if len(s.Chapters) >= Limit {
			s.Notes = append(s.Notes, fmt.Sprintf("there are more reports: only %d chapters are told", Limit))
			break
		}
		s.Chapters = append(s.Chapters, Chapter{
			Time: at.UTC(), Topic: topic, Partition: int32(partition), Offset: int64(offset), Key: client + "/" + device, Kind: "telemetry.reported",
			Words: Words{Title: "Reported and stored", Detail: fmt.Sprintf("%s told %d readings", device, readings), Tone: Quiet, TraceID: s.Trace, Client: client},
		})
	}
	return rows.Err()
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
