package deadletters

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
)

// stand is a log with a plain client of its broker.
type stand struct {
	t       *testing.T
	cluster *eventlogtest.Cluster
	log     *eventlog.Log
	desk    *Desk
	client  *kgo.Client
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{t: t, cluster: eventlogtest.Start(t)}
	s.open()
	return s
}

// open connects, knowing nothing of what there was before.
func (s *stand) open() {
	s.t.Helper()
	s.log = s.cluster.Open(s.t, s.cluster.Config())
	s.desk = New(s.log)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.Config().Brokers...), kgo.ProducerBatchMaxBytes(2<<20))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	s.client = client
}

// record sends a record to telemetry as another program would.
func (s *stand) record(key, value string) *kgo.Record {
	s.t.Helper()
	r := &kgo.Record{Topic: s.cluster.Name("telemetry"), Key: []byte(key), Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "note", Value: []byte(key)}}}
	if err := s.client.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *stand) topicID() string {
	s.t.Helper()
	ids, err := topicIDs(s.t.Context(), s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	return ids[eventlog.TopicTelemetry].String()
}

// written is when the letters of the tests were written: a second apart, from this time on.
var written = time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC)

// bury writes the letter of a record, as a service would.
func (s *stand) bury(r *kgo.Record, change ...func(*schemas.DeadLetter)) *schemas.DeadLetter {
	s.t.Helper()
	id := s.topicID()
	d := &schemas.DeadLetter{
		Envelope: schemas.Envelope{
			EventID: fmt.Sprintf("analytics-%s-%d-%d", id, r.Partition, r.Offset), Origin: "analytics", TraceID: "trace",
			ReceivedTime: schemas.TimeOf(written.Add(time.Duration(r.Offset) * time.Second)),
		},
		Reason: schemas.ReasonNotOurs, Topic: "telemetry", TopicID: id, Partition: r.Partition, Offset: r.Offset,
		Key: r.Key, Value: r.Value, Size: int64(len(r.Key) + len(r.Value)),
	}
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, schemas.Header{Key: h.Key, Value: h.Value})
	}
	d.Attempt = int32(len(schemas.Redrives(d.Headers)))
	for _, c := range change {
		c(d)
	}
	s.append(d)
	return d
}

func (s *stand) append(e schemas.Event) {
	s.t.Helper()
	if _, err := s.log.Append(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
}

// bad sends a record and writes its letter.
func (s *stand) bad(key, value string) *schemas.DeadLetter {
	s.t.Helper()
	return s.bury(s.record(key, value))
}

// onTopic reads all of a topic.
func (s *stand) onTopic(topic eventlog.Topic) []*eventlog.Record {
	s.t.Helper()
	var all []*eventlog.Record
	for r, err := range s.log.Read(s.t.Context(), eventlog.ReadOptions{Topic: topic}) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// again returns the values of the records that were redriven, by key, in order.
func (s *stand) again() string {
	s.t.Helper()
	var all []string
	for _, r := range s.onTopic(eventlog.TopicTelemetry) {
		if r.Header(schemas.HeaderRedriven) != "" {
			all = append(all, fmt.Sprintf("%s=%.10s", r.Key, r.Value))
		}
	}
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
	return strings.Join(all, " ")
}

// outcomes collects what is told, a line a letter.
type outcomes []string

func (o *outcomes) tell(out Outcome) error {
	*o = append(*o, fmt.Sprintf("%s=%.10s %s", out.Event.Key, out.Event.Value, out.Verdict))
	return nil
}

func (o outcomes) String() string {
	slices.SortStableFunc(o, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
	return strings.Join(o, ", ")
}

var ana = By{Operator: "ana", Host: "bastion", Why: "a test"}

// redrive runs Redrive and checks what it tells.
func (s *stand) redrive(sel Selection, earlier bool, want string) {
	s.t.Helper()
	var told outcomes
	if err := s.desk.Redrive(s.t.Context(), &sel, earlier, ana, told.tell); err != nil {
		s.t.Fatal(err)
	}
	if got := told.String(); got != want {
		s.t.Errorf("redrive told %q, want %q", got, want)
	}
}

// states lists all letters, as key=value state.
func (s *stand) states(sel Selection) string {
	s.t.Helper()
	var all []string
	every := []deadletters.State{deadletters.Open, deadletters.Redriven, deadletters.Discarded}
	err := s.desk.List(s.t.Context(), &sel, every, func(l *Letter) bool {
		all = append(all, fmt.Sprintf("%s=%.10s %s", l.Event.Key, l.Event.Value, l.State))
		return true
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(a[:2], b[:2]) })
	return strings.Join(all, ", ")
}

func TestARedrivenRecordIsTheRecordItWas(t *testing.T) {
	s := newStand(t)
	d := s.bad("a/1", "first")
	s.redrive(Selection{}, false, "a/1=first redriven")
	records := s.onTopic(eventlog.TopicTelemetry)
	if len(records) != 2 {
		t.Fatalf("got %d records", len(records))
	}
	was, is := records[0], records[1]
	if is.Partition != was.Partition || string(is.Key) != "a/1" || string(is.Value) != "first" || len(is.Headers) != 2 || is.Header("note") != "a/1" {
		t.Errorf("got %+v, want %+v with one more header", is, was)
	}
	if got, want := schemas.Redrives(is.Headers), schemas.RedriveOf(d); len(got) != 1 || got[0] != want {
		t.Errorf("got redrives %v, want %v", got, want)
	}
	told := s.onTopic(eventlog.TopicDeadLetters)
	event, err := s.desk.decode(t.Context(), told[1])
	if err != nil {
		t.Fatal(err)
	}
	e, is2 := event.(*schemas.DeadLetterRedriven)
	if !is2 || told[1].Partition != told[0].Partition || string(told[1].Key) != "a/1" || e.Letter != d.EventID || e.Operator != "ana" || e.Why != "a test" ||
		e.Host != "bastion" || e.Attempt != 1 || e.TraceID != "trace" || e.EventID != "redriven-"+d.EventID || e.LetterOffset != int64(told[0].Offset) {
		t.Errorf("got %+v beside the letter", event)
	}
	s.redrive(Selection{}, false, "")
	s.redrive(Selection{Letters: []string{d.EventID}}, false, "a/1=first closed")
	if got := s.again(); got != "a/1=first" {
		t.Errorf("got %q after the second and third run", got)
	}
}

func TestTheOrderOfAKeyIsKept(t *testing.T) {
	s := newStand(t)
	var a []*schemas.DeadLetter
	for i := range 3 {
		a = append(a, s.bad("a/1", fmt.Sprint(i)))
		s.bad("b/1", fmt.Sprint(i))
	}
	s.bury(&kgo.Record{Key: a[0].Key, Value: a[0].Value, Partition: a[0].Partition, Offset: a[0].Offset}) // told twice
	third := Selection{Letters: []string{a[2].EventID}}
	s.redrive(third, false, "a/1=2 waits")
	s.redrive(Selection{Letters: []string{a[2].EventID, a[0].EventID}}, false, "a/1=0 redriven, a/1=2 waits")
	s.redrive(third, true, "a/1=1 redriven, a/1=2 redriven")
	s.redrive(Selection{Client: "b"}, false, "b/1=0 redriven, b/1=1 redriven, b/1=2 redriven")
	if got := s.again(); got != "a/1=0 a/1=1 a/1=2 b/1=0 b/1=1 b/1=2" {
		t.Errorf("got %q", got)
	}
}

// TestWhatFailsAgainKeepsItsPlace redrives the first of two, which fails again behind the second.
func TestWhatFailsAgainKeepsItsPlace(t *testing.T) {
	s := newStand(t)
	first := s.bad("a/1", "first")
	second := s.bad("a/1", "second")
	for attempt := range 3 {
		s.redrive(Selection{Letters: []string{first.EventID}}, false, "a/1=first redriven")
		records := s.onTopic(eventlog.TopicTelemetry)
		last := records[len(records)-1]
		failed := &kgo.Record{Key: last.Key, Value: last.Value, Partition: int32(last.Partition), Offset: int64(last.Offset)}
		for _, h := range last.Headers {
			failed.Headers = append(failed.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		first = s.bury(failed)
		if first.Attempt != int32(attempt+1) {
			t.Errorf("got attempt %d, want %d", first.Attempt, attempt+1)
		}
		s.redrive(Selection{Letters: []string{second.EventID}}, false, "a/1=second waits")
	}
	story, err := s.desk.Show(t.Context(), first.EventID)
	if err != nil {
		t.Fatal(err)
	}
	var chapters []string
	for _, c := range story.Chapters {
		chapters = append(chapters, fmt.Sprint(c.What, " ", c.Event.Head().Attempt))
	}
	want := "deadletter 0, deadletter.redriven 1, deadletter 1, deadletter.redriven 2, deadletter 2, deadletter.redriven 3, deadletter 3"
	if got := strings.Join(chapters, ", "); got != want {
		t.Errorf("got the story %s, want %s", got, want)
	}
	s.redrive(Selection{}, false, "a/1=first redriven, a/1=second redriven")
}

func TestWithoutAKeyThereIsNoOrder(t *testing.T) {
	s := newStand(t)
	s.bad("", "1")
	second := s.bad("", "2")
	s.redrive(Selection{Letters: []string{second.EventID}}, false, "=2 redriven")
}

// TestTwoOperators lets a second desk redrive everything while the first is between two transactions.
func TestTwoOperators(t *testing.T) {
	s := newStand(t)
	const letters = maxLetters + 100
	s.many(letters, 1, func(int) []byte { return []byte("x") })
	var first, second outcomes
	err := s.desk.Redrive(t.Context(), &Selection{}, false, ana, func(o Outcome) error {
		if len(second) == 0 {
			if err := New(s.log).Redrive(t.Context(), &Selection{}, false, ana, second.tell); err != nil {
				t.Error(err)
			}
		}
		return first.tell(o)
	})
	if !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("got %v, want that the first was fenced", err)
	}
	if len(first) != maxLetters || len(second) != letters-maxLetters {
		t.Errorf("%d and %d were told, want %d together", len(first), len(second), letters)
	}
	if got := strings.Fields(s.again()); len(got) != letters {
		t.Errorf("%d records were redriven, want %d", len(got), letters)
	}
}

// TestADecisionOnOldKnowledgeIsRefused lets a second desk redrive a letter after the first has read that it is open. What is closed
// is told of between reading and deciding.
func TestADecisionOnOldKnowledgeIsRefused(t *testing.T) {
	s := newStand(t)
	closed, open := s.bad("a/1", "closed"), s.bad("a/1", "open")
	s.redrive(Selection{Letters: []string{closed.EventID}}, false, "a/1=closed redriven")
	var first, second outcomes
	err := s.desk.Redrive(t.Context(), &Selection{Letters: []string{closed.EventID, open.EventID}}, false, ana, func(o Outcome) error {
		if err := New(s.log).Redrive(t.Context(), &Selection{}, false, ana, second.tell); err != nil {
			t.Error(err)
		}
		return first.tell(o)
	})
	if !errors.Is(err, eventlog.ErrFenced) || first.String() != "a/1=closed closed" || second.String() != "a/1=open redriven" {
		t.Errorf("the first told %v and ended with %v, the second told %v", first, err, second)
	}
	if got := s.again(); got != "a/1=closed a/1=open" {
		t.Errorf("got %q, want each once", got)
	}
}

// many writes letters of several keys, whose records nobody has.
func (s *stand) many(letters, keys int, value func(i int) []byte) {
	s.t.Helper()
	id, batch := s.topicID(), s.log.NewBatch()
	for i := range letters {
		err := batch.Add(&schemas.DeadLetter{
			Envelope: schemas.Envelope{EventID: fmt.Sprint(i)}, Topic: "telemetry", TopicID: id, Offset: int64(i),
			Key: fmt.Appendf(nil, "a/%d", i%keys), Value: value(i),
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, r := range batch.Commit(s.t.Context()) {
		if r.Err != nil {
			s.t.Fatal(r.Err)
		}
	}
}

// TestACrashBeforeTheCommit takes the id over while a desk has appended everything and has not committed.
func TestACrashBeforeTheCommit(t *testing.T) {
	s := newStand(t)
	s.bad("a/1", "x")
	s.bad("b/1", "y")
	var dead, heir outcomes
	fence, err := s.log.Transactor(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	defer fence.Close()
	topics, err := topicIDs(t.Context(), s.log)
	if err != nil {
		t.Fatal(err)
	}
	act := dying{&redrive{s.log, ana, topics}, func() {
		if err := New(s.log).Redrive(t.Context(), &Selection{}, false, ana, heir.tell); err != nil {
			t.Error(err)
		}
	}}
	d := &decision{desk: s.desk, by: ana, tell: dead.tell, act: act, fence: fence}
	d.plan = func(f *folded) []deadletters.Step { return f.fold.Plan(func(int) bool { return true }, false) }
	partitions, err := s.desk.partitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range partitions {
		f, err := s.desk.read(t.Context(), p, &Selection{})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.partition(t.Context(), f, false); err != nil && !errors.Is(err, eventlog.ErrFenced) {
			t.Fatal(err)
		}
	}
	if len(dead) != 0 || heir.String() != "a/1=x redriven, b/1=y redriven" {
		t.Errorf("the dead told %v, the heir %v", dead, heir)
	}
	if got := s.again(); got != "a/1=x b/1=y" {
		t.Errorf("got %q, want each once", got)
	}
}

// dying is an action whose process dies when all is appended and nothing committed.
type dying struct {
	action
	die func()
}

func (a dying) prepare(ctx context.Context, l *Letter) (func(*eventlog.Tx) error, Outcome, error) {
	add, done, err := a.action.prepare(ctx, l)
	return func(tx *eventlog.Tx) error {
		defer a.die()
		return add(tx)
	}, done, err
}

func TestADryRunDoesNothing(t *testing.T) {
	s := newStand(t)
	s.bad("a/1", "x")
	holder, err := s.log.Transactor(t.Context(), service)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close()
	dry := ana
	dry.DryRun = true
	var told outcomes
	if err := s.desk.Redrive(t.Context(), &Selection{}, false, dry, told.tell); err != nil || told.String() != "a/1=x redriven" {
		t.Errorf("got %v, %v", told, err)
	}
	if err := s.desk.Discard(t.Context(), &Selection{}, dry, told.tell); err != nil || len(told) != 2 {
		t.Errorf("got %v, %v", told, err)
	}
	if err := holder.Run(t.Context(), func(tx *eventlog.Tx) error { return nil }); err != nil {
		t.Errorf("a dry run stopped the one who works: %v", err)
	}
	if got := s.again() + s.states(Selection{}); got != "a/1=x open" {
		t.Errorf("got %q", got)
	}
}

func TestDiscard(t *testing.T) {
	s := newStand(t)
	first, second := s.bad("a/1", "1"), s.bad("a/1", "2")
	var told outcomes
	if err := s.desk.Discard(t.Context(), &Selection{Letters: []string{first.EventID}}, ana, told.tell); err != nil || told.String() != "a/1=1 discarded" {
		t.Fatalf("got %v, %v", told, err)
	}
	story, err := s.desk.Show(t.Context(), RecordOf(first).String())
	if err != nil || len(story.Chapters) != 2 {
		t.Fatalf("got %+v, %v", story, err)
	}
	if e, is := story.Chapters[1].Event.(*schemas.DeadLetterDiscarded); !is || e.Why != "a test" || e.Operator != "ana" || e.Reason != first.Reason || e.EventID != "discarded-"+first.EventID {
		t.Errorf("got %+v", story.Chapters[1].Event)
	}
	s.redrive(Selection{Letters: []string{first.EventID}}, false, "a/1=1 closed")
	s.redrive(Selection{Letters: []string{second.EventID}}, false, "a/1=2 redriven") // nothing is before it any more
	if got := s.states(Selection{}); got != "a/1=1 discarded, a/1=2 redriven" {
		t.Errorf("got %q", got)
	}
}

func TestSelections(t *testing.T) {
	s := newStand(t)
	a := s.bad("a/1", "x")
	s.bury(s.record("a/2", "y"), func(d *schemas.DeadLetter) { d.Reason = schemas.ReasonInvalid })
	later := s.bury(s.record("b/1", "z"), func(d *schemas.DeadLetter) { d.ReceivedTime = schemas.TimeOf(written.Add(time.Hour)) })
	if err := s.client.ProduceSync(t.Context(), &kgo.Record{Topic: s.cluster.Name("deadletters"), Key: []byte("a/1"), Value: []byte("no letter")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	f := func(sel Selection, want string) {
		t.Helper()
		if got := s.states(sel); got != want {
			t.Errorf("%+v: got %q, want %q", sel, got, want)
		}
	}
	f(Selection{}, "a/1=x open, a/2=y open, b/1=z open")
	f(Selection{Client: "a"}, "a/1=x open, a/2=y open")
	f(Selection{Device: "1"}, "a/1=x open, b/1=z open")
	f(Selection{Client: "a", Device: "1"}, "a/1=x open")
	f(Selection{Reasons: []schemas.Reason{schemas.ReasonInvalid, schemas.ReasonUndecodable}}, "a/2=y open")
	f(Selection{Since: written.Add(time.Minute)}, "b/1=z open")
	f(Selection{Until: written.Add(time.Hour)}, "a/1=x open, a/2=y open")
	f(Selection{Letters: []string{a.EventID, RecordOf(later).String()}}, "a/1=x open, b/1=z open")
	f(Selection{Letters: []string{a.EventID}, Client: "b"}, "")
	sel := Selection{Letters: []string{"nobody", a.EventID}}
	f(sel, "a/1=x open")
	if s.states(sel); !sel.Empty() && len((&Selection{}).Missing()) != 0 {
		t.Error("an empty selection misses something")
	}
	err := s.desk.List(t.Context(), &sel, nil, nil)
	if missing := sel.Missing(); err != nil || len(missing) != 1 || missing[0] != "nobody" {
		t.Errorf("got %q missing, %v", missing, err)
	}
	if _, err := s.desk.Show(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsCutIsReadFromItsTopic(t *testing.T) {
	s := newStand(t)
	large := strings.Repeat("large", 100_000)
	cut := func(d *schemas.DeadLetter) { d.Value, d.Headers = d.Value[:100], nil }
	old := func(d *schemas.DeadLetter) {
		cut(d)
		d.Size, d.Detail = -1, "bad (value cut from 500000 bytes; headers left out)"
	}
	s.bury(s.record("a/1", large), cut)
	s.bury(s.record("b/1", large), old)
	gone := s.record("c/1", large)
	gone.Offset += 1000
	s.bury(gone, cut)
	s.bad("c/1", "waits for it")
	changed := s.record("d/1", large)
	changed.Value = bytes.Repeat([]byte("other"), 100_000)
	s.bury(changed, cut)
	s.bury(s.record("e/1", "never in a topic"), func(d *schemas.DeadLetter) { d.Topic, d.Partition, d.Offset = "", -1, -1 })
	s.bury(s.record("f/1", "elsewhere"), func(d *schemas.DeadLetter) { d.Topic = "weather" })
	s.redrive(Selection{}, false, "a/1=largelarge redriven, b/1=largelarge redriven, c/1=largelarge refused, c/1=waits for  waits, "+
		"d/1=otherother refused, e/1=never in a refused, f/1=elsewhere refused")
	n := 0
	for _, r := range s.onTopic(eventlog.TopicTelemetry) {
		if r.Header(schemas.HeaderRedriven) == "" {
			continue
		}
		if n++; string(r.Value) != large || r.Header("note") != string(r.Key) {
			t.Errorf("%s came back with %d bytes and headers %v", r.Key, len(r.Value), r.Headers)
		}
	}
	if n != 2 {
		t.Errorf("%d records were redriven, want 2", n)
	}
}

// TestWhatIsTooLargeIsInNobodysWay has a record that another program could append and we cannot.
func TestWhatIsTooLargeIsInNobodysWay(t *testing.T) {
	s := newStand(t)
	var key string // of the same partition of letters
	huge := s.bury(s.record("a/1", strings.Repeat("x", 1_030_000)), func(d *schemas.DeadLetter) { d.Value = d.Value[:100] })
	s.bad("a/1", "waits")
	for i := 0; key == ""; i++ {
		d := s.bad(fmt.Sprintf("b/%d", i), "y")
		all := s.onTopic(eventlog.TopicDeadLetters)
		partition := map[string]eventlog.Partition{}
		for _, r := range all {
			partition[string(r.Key)] = r.Partition
		}
		if partition[string(d.Key)] == partition[string(huge.Key)] {
			key = string(d.Key)
		}
	}
	_, device, _ := strings.Cut(key, "/")
	s.redrive(Selection{Client: "b", Device: device}, false, key+"=y redriven")
	s.bad(key, "z")
	var told outcomes
	if err := s.desk.Redrive(t.Context(), &Selection{}, false, ana, told.tell); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a/1=xxxxxxxxxx refused", "a/1=waits waits", key + "=z redriven"} {
		if !slices.Contains(told, want) {
			t.Errorf("got %q, want %q among it", told, want)
		}
	}
}

func TestATopicThatWasCreatedAnew(t *testing.T) {
	s := newStand(t)
	s.bury(s.record("a/1", "x"), func(d *schemas.DeadLetter) { d.Partition = 11 })
	s.bury(s.record("b/1", "large"), func(d *schemas.DeadLetter) { d.Size = 1000 })
	admin := kadm.NewClient(s.client)
	if _, err := admin.DeleteTopic(t.Context(), s.cluster.Name("telemetry")); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 3, -1, nil, s.cluster.Name("telemetry")); err != nil {
		t.Fatal(err)
	}
	s.open()
	s.redrive(Selection{}, false, "a/1=x redriven, b/1=large refused")
	records := s.onTopic(eventlog.TopicTelemetry)
	fresh := s.record("a/1", "fresh")
	if len(records) != 1 || int32(records[0].Partition) != fresh.Partition {
		t.Errorf("got %v, want one in partition %d, where its key belongs", records, fresh.Partition)
	}
}

// TestManyLetters needs several transactions, and several stretches of reading.
func TestManyLetters(t *testing.T) {
	s := newStand(t)
	const keys, each = 3, 500
	s.many(keys*each, keys, func(i int) []byte {
		value := fmt.Appendf(nil, "%06d", i)
		if i%100 == 0 {
			value = append(value, bytes.Repeat([]byte("large"), 150_000)...)
		}
		return value
	})
	n := 0
	err := s.desk.Redrive(t.Context(), &Selection{}, false, ana, func(o Outcome) error {
		if n++; o.Verdict != Redriven {
			t.Errorf("%s: %s %s", o.Event.Key, o.Verdict, o.Detail)
		}
		return nil
	})
	if err != nil || n != keys*each {
		t.Fatalf("%d of %d redriven, %v", n, keys*each, err)
	}
	last, all := map[string]string{}, 0
	for _, r := range s.onTopic(eventlog.TopicTelemetry) {
		if value := string(r.Value[:6]); value <= last[string(r.Key)] && last[string(r.Key)] != "" {
			t.Fatalf("%s: %s comes after %s", r.Key, value, last[string(r.Key)])
		} else {
			last[string(r.Key)] = value
		}
		all++
	}
	if all != keys*each {
		t.Errorf("%d records, want %d", all, keys*each)
	}
}
