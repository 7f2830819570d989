package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway"
)

// site is a log that several gateways share.
type site struct {
	*fixture
	cluster *eventlogtest.Cluster
}

func newSite(t testing.TB) *site { return newSiteOn(t, eventlogtest.Start(t)) }

func newSiteOn(t testing.TB, cluster *eventlogtest.Cluster) *site {
	t.Helper()
	cfg := cluster.Config()
	cfg.Partitions = 3
	return &site{cluster: cluster, fixture: &fixture{log: cluster.Open(t, cfg)}}
}

// door is a gateway that runs, on a log of its own as another process has it.
type door struct {
	*fixture
	url  string
	stop func()
}

func (s *site) open(t testing.TB, cfg gateway.Config) *door {
	t.Helper()
	return s.openOn(t, s.cluster.Open(t, s.cluster.Config()), cfg)
}

func (s *site) openOn(t testing.TB, log gateway.Log, cfg gateway.Config) *door {
	t.Helper()
	cfg.Listen, cfg.Age, cfg.Future = "127.0.0.1:0", future.Age, future.Future
	if cfg.RetryWait == 0 {
		cfg.RetryWait = 20 * time.Second // so that no answer depends on how busy the machine is
	}
	registry := prometheus.NewRegistry()
	g, err := gateway.New(cfg, log, slog.New(slog.DiscardHandler), registry, registry)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := g.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	return &door{fixture: &fixture{Gateway: g, log: s.log, registry: registry}, url: "http://" + g.Addr(), stop: stop}
}

// answer is what a sender is told.
type answer struct {
	Accepted, Duplicates, Readings, Refused int
	Items                                   []struct {
		Index     int
		EventID   string `json:"event_id"`
		Partition int32
		Offset    int64
		Duplicate bool
	}
}

func (d *door) send(t testing.TB, path, body string, headers ...string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, d.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(read)
}

// report sends reports and returns the answer, which must be 200.
func (d *door) report(t testing.TB, body string, headers ...string) (a answer) {
	t.Helper()
	status, text := d.send(t, "/v1/telemetry?positions", body, headers...)
	if err := json.Unmarshal([]byte(text), &a); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s (%v)", status, text, err)
	}
	return a
}

// counted returns the number of records in the log, and of those that analytics will store.
func (s *site) counted(t testing.TB) (records, stored int) {
	t.Helper()
	windows := map[eventlog.Partition]*duplicates.Window{}
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		records++
		if windows[r.Partition] == nil {
			windows[r.Partition] = duplicates.New(duplicates.Limits{})
		}
		id, own := r.SenderID()
		if own {
			_, own = windows[r.Partition].Add(duplicates.Identify(r.Key, id.Source, id.ID), int64(r.Offset), schemas.TimeOf(r.Timestamp))
		}
		if !own {
			stored++
		}
	}
	return records, stored
}

func (s *site) count(t testing.TB, records, stored int) {
	t.Helper()
	if gotRecords, gotStored := s.counted(t); gotRecords != records || gotStored != stored {
		t.Errorf("the log has %d records, of which %d are stored; want %d and %d", gotRecords, gotStored, records, stored)
	}
}

// named is a report with an id of its own.
func named(device, id string) string {
	return fmt.Sprintf(`{"client":"c","device":%q,"event_id":%q,"readings":{"level":1.5}}`, device, id)
}

func TestARetryIsAnsweredAsOne(t *testing.T) {
	s := newSite(t)
	d := s.open(t, gateway.Config{})
	first := d.report(t, named("d1", "e1"))
	if first.Accepted != 1 || first.Duplicates != 0 || first.Items[0].Duplicate {
		t.Errorf("the first: got %+v", first)
	}
	for range 3 {
		again := d.report(t, named("d1", "e1"))
		if again.Accepted != 1 || again.Readings != 1 || again.Duplicates != 1 || !again.Items[0].Duplicate ||
			again.Items[0].Offset != first.Items[0].Offset || again.Items[0].Partition != first.Items[0].Partition || again.Items[0].EventID != "e1" {
			t.Errorf("a retry: got %+v, the first was %+v", again, first)
		}
	}
	s.count(t, 1, 1) // what is known is not appended
	if n := d.value(t, "fieldlog_gateway_duplicates_total"); n != 3 {
		t.Errorf("duplicates: got %v, want 3", n)
	}
	if n := d.value(t, "fieldlog_gateway_reports_accepted_total"); n != 1 {
		t.Errorf("accepted: got %v, want 1", n)
	}
	for _, body := range []string{named("d2", "e1"), named("d1", "e2"), strings.Replace(named("d1", "e1"), "{", `{"origin":"probe",`, 1)} {
		if other := d.report(t, body); other.Duplicates != 0 {
			t.Errorf("%s is taken for another: %+v", body, other)
		}
	}
	s.count(t, 4, 4)
}

func TestRetriesAmongOthers(t *testing.T) {
	s := newSite(t)
	d := s.open(t, gateway.Config{})
	d.report(t, named("d1", "e1"))
	a := d.report(t, strings.Join([]string{
		named("d1", "e0"), named("d1", "e1"), `{"client":"c","device":"d1","readings":{"level":1}}`, named("d1", "e2"), named("d1", "e2"),
	}, "\n"))
	var got []string
	for i, item := range a.Items {
		if item.Index != i {
			t.Errorf("item %d has index %d", i, item.Index)
		}
		got = append(got, fmt.Sprint(item.Duplicate))
	}
	if want := "false true false false true"; strings.Join(got, " ") != want || a.Accepted != 5 || a.Duplicates != 2 {
		t.Errorf("got %v, want %s; %+v", got, want, a)
	}
	if a.Items[4].Offset != a.Items[3].Offset {
		t.Errorf("the second e2 repeats offset %d, the first is at %d", a.Items[4].Offset, a.Items[3].Offset)
	}
	s.count(t, 5, 4)
}

// TestARetryThroughAnotherGateway sends through one, which ends, then through one that was not there before.
func TestARetryThroughAnotherGateway(t *testing.T) {
	s := newSite(t)
	before := s.open(t, gateway.Config{})
	for n := range 50 {
		before.report(t, named("d1", fmt.Sprint("e", n)))
	}
	before.stop()
	after := s.open(t, gateway.Config{})
	for n := range 50 {
		if a := after.report(t, named("d1", fmt.Sprint("e", n))); a.Duplicates != 1 || a.Items[0].Offset != int64(n) {
			t.Errorf("retry of e%d: got %+v", n, a)
		}
	}
	if _, stored := s.counted(t); stored != 50 {
		t.Errorf("%d reports are stored, want 50", stored)
	}
}

// TestARetryOfWhatWasNeverAnswered finds what a gateway had appended when it died.
func TestARetryOfWhatWasNeverAnswered(t *testing.T) {
	s := newSite(t)
	dead := s.log.NewBatch()
	r := &schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: "e1", EventTime: 1, ReceivedTime: 1, Origin: "http"}, Client: "c", Device: "d1",
		Readings: []schemas.Reading{{Metric: "level", Time: 1, Value: schemas.DoubleValue(1.5)}},
	}
	if err := dead.AddRetryable(r); err != nil {
		t.Fatal(err)
	}
	lost := dead.Commit(t.Context())[0]
	if lost.Err != nil {
		t.Fatal(lost.Err)
	}
	a := s.open(t, gateway.Config{}).report(t, named("d1", "e1"))
	if a.Duplicates != 1 || a.Items[0].Offset != int64(lost.Offset) {
		t.Errorf("got %+v, it was at %v", a, lost.Position)
	}
	s.count(t, 2, 1)
}

// TestGatewaysRace sends each report through two gateways at the same time, again and again: one answer of all says that
// the report is new, and all name the same position.
func TestGatewaysRace(t *testing.T) {
	s := newSite(t)
	doors := []*door{s.open(t, gateway.Config{}), s.open(t, gateway.Config{})}
	const reports, senders = 15, 6
	for n := range reports {
		answers := make([]answer, senders)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = doors[i%2].report(t, named(fmt.Sprint("d", n%4), fmt.Sprint("e", n))) })
		}
		wg.Wait()
		fresh := 0
		for _, a := range answers {
			fresh += 1 - a.Duplicates
			if a.Items[0].Offset != answers[0].Items[0].Offset {
				t.Errorf("e%d: told are the offsets %d and %d", n, a.Items[0].Offset, answers[0].Items[0].Offset)
			}
		}
		if fresh != 1 {
			t.Errorf("e%d: %d of %d answers say that it is new", n, fresh, senders)
		}
	}
	if _, stored := s.counted(t); stored != reports {
		t.Errorf("%d reports are stored, want %d", stored, reports)
	}
}

func TestIdempotencyKey(t *testing.T) {
	s := newSite(t)
	d := s.open(t, gateway.Config{})
	const two = `[{"client":"c","device":"d1","readings":{"level":1}},{"client":"c","device":"d1","readings":{"level":2}}]`
	f := func(want int, key, body string) {
		t.Helper()
		if a := d.report(t, body, "Idempotency-Key", key); a.Duplicates != want {
			t.Errorf("key %s: got %+v, want %d duplicates", key, a, want)
		}
	}
	f(0, "k1", two)
	f(2, "k1", two)
	f(2, `"k1"`, two)
	f(0, "k2", two)
	f(0, "k3", named("d1", "e1"))
	f(1, "k4", named("d1", "e1")) // an id of its own goes before the request's key
	f(0, "", two)
	f(0, "", two)
	const lines = "m,device=d1 v=1\nm,device=d2 v=2\nm,device=d1 w=3\n"
	_, before := s.counted(t)
	for range 3 {
		for _, path := range []string{"/api/v2/write?bucket=c", "/write?db=c"} {
			if status, body := d.send(t, path, lines, "Idempotency-Key", "k9"); status != http.StatusNoContent {
				t.Errorf("%s: got %d %s", path, status, body)
			}
		}
	}
	if _, stored := s.counted(t); stored != before+2 {
		t.Errorf("six writes of two reports made %d more, want 2", stored-before)
	}
	for _, path := range []string{"/v1/telemetry", "/api/v2/write?bucket=c", "/write?db=c"} {
		for _, key := range []string{strings.Repeat("k", 129), "a\u0085b", "a\xffb"} {
			if status, body := d.send(t, path, lines, "Idempotency-Key", key); status != http.StatusBadRequest || !strings.Contains(body, "Idempotency-Key") {
				t.Errorf("%s, key %q: got %d %s", path, key, status, body)
			}
		}
	}
}

// TestAnIndexThatIsLateChangesAnswersOnly keeps the gateway from reading what it appended.
func TestAnIndexThatIsLateChangesAnswersOnly(t *testing.T) {
	fake := eventlogtest.StartFake(t)
	s := newSiteOn(t, fake.Cluster)
	d := s.open(t, gateway.Config{RetryWait: 10 * time.Millisecond})
	speak := make(chan struct{})
	fake.Kafka.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.Kafka.KeepControl()
		select {
		case <-speak:
			return nil, nil, false
		default:
			return nil, fmt.Errorf("not now"), true
		}
	})
	for range 2 {
		if a := d.report(t, named("d1", "e1")); a.Accepted != 1 || a.Duplicates != 0 {
			t.Errorf("got %+v", a)
		}
	}
	close(speak)
	if n := d.value(t, "fieldlog_gateway_retries_undecided_total"); n != 2 {
		t.Errorf("undecided: got %v, want 2", n)
	}
	s.count(t, 2, 1)
}

func TestSilentRetries(t *testing.T) {
	s := newSite(t)
	d := s.open(t, gateway.Config{SilentRetries: true})
	for range 2 {
		if a := d.report(t, named("d1", "e1")); a.Accepted != 1 || a.Duplicates != 0 {
			t.Errorf("got %+v", a)
		}
	}
	s.count(t, 2, 1)
	if n := d.value(t, "fieldlog_gateway_retries_undecided_total"); n != 0 {
		t.Errorf("undecided: got %v, want 0", n)
	}
}

// TestAnIndexThatNobodyAsksForIsGivenUp lets reports without ids go on, and then sends a retry.
func TestAnIndexThatNobodyAsksForIsGivenUp(t *testing.T) {
	s := newSite(t)
	d := s.open(t, gateway.Config{Retries: duplicates.Limits{Age: time.Second}})
	first := d.report(t, named("pump-7", "e1"))
	for range 3 {
		for deadline := time.Now().Add(time.Minute); d.gauge(t, "fieldlog_gateway_retry_bytes") > 0; {
			if time.Now().After(deadline) {
				t.Fatal("the index was not given up")
			}
			d.report(t, `{"client":"c","device":"pump-7","readings":{"level":1}}`)
		}
		if again := d.report(t, named("pump-7", "e1")); again.Duplicates != 1 || again.Items[0].Offset != first.Items[0].Offset {
			t.Errorf("got %+v, the first was %+v", again, first)
		}
	}
}

// gauge returns the value of a gauge without labels.
func (f *fixture) gauge(t testing.TB, name string) float64 {
	t.Helper()
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %q", name)
	return 0
}

func TestReportsWithoutIdsLeaveNoTrace(t *testing.T) {
	s := newSite(t)
	d := s.open(t, gateway.Config{})
	d.report(t, good)
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Header(eventlog.HeaderRetryable) != "" {
			t.Error("the record is marked")
		}
	}
	const entries, bytes = "fieldlog_gateway_retry_entries", "fieldlog_gateway_retry_bytes"
	if d.gauge(t, entries) != 0 || d.gauge(t, bytes) != 0 {
		t.Error("there is an index")
	}
	d.report(t, named("d1", "e1"))
	if n, size := d.gauge(t, entries), d.gauge(t, bytes); n != 1 || size < 24 {
		t.Errorf("%v reports in %v bytes are remembered, want 1", n, size)
	}
}

// slowToFollow is a log whose Follow waits for requests.
type slowToFollow struct {
	gateway.Log
	asked chan struct{}
	once  sync.Once
	early atomic.Bool // whether there was one before Follow returned
}

func (l *slowToFollow) NewBatch() *eventlog.Batch {
	l.once.Do(func() { close(l.asked) })
	return l.Log.NewBatch()
}

func (l *slowToFollow) Follow(topic eventlog.Topic) (*eventlog.Follower, error) {
	select {
	case <-l.asked:
		l.early.Store(true)
	case <-time.After(200 * time.Millisecond): // none may come
	}
	return l.Log.Follow(topic)
}

// TestTheFirstRequestMayBeARetry sends one while the gateway starts.
func TestTheFirstRequestMayBeARetry(t *testing.T) {
	s := newSite(t)
	s.open(t, gateway.Config{}).report(t, named("d1", "e1"))
	log := &slowToFollow{Log: s.log, asked: make(chan struct{})}
	after := s.openOn(t, log, gateway.Config{})
	if a := after.report(t, named("d1", "e1")); a.Duplicates != 1 {
		t.Errorf("got %+v, want to be told that it is a retry", a)
	}
	if log.early.Load() {
		t.Error("a request was answered before retries could be told")
	}
}
