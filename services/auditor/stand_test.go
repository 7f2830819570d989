package auditor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/analytics"
	"github.com/fieldlog/fieldlog/services/gateway"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

var quiet = slog.New(slog.DiscardHandler)

// stand is a log and a database with a gateway, analytics and an auditor on them.
type stand struct {
	t       testing.TB
	cluster *eventlogtest.Fake
	log     *eventlog.Log
	ch      *clickhouse.Client
	cfg     eventlog.Config
	admin   *kadm.Client
	auditor *Auditor
	begin   time.Time
}

const partitions = 3

func newStand(t testing.TB) *stand {
	t.Helper()
	cluster := eventlogtest.StartFake(t)
	cfg := cluster.Config()
	cfg.Partitions = partitions
	s := &stand{t: t, cluster: cluster, cfg: cfg, log: cluster.Open(t, cfg), ch: clickhousetest.Open(t, clickhousetest.Config(t)), begin: time.Now().Add(-time.Minute)}
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.Config().Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	s.admin = kadm.NewClient(client)
	s.auditor = s.audits(0)
	return s
}

// audits returns an auditor of a generation; 0 is the public one.
func (s *stand) audits(generation int) *Auditor {
	s.t.Helper()
	a, err := New(Config{Tables: func(ctx context.Context) (Tables, error) {
		found, err := analytics.Locate(ctx, s.ch, "", generation)
		tables := Tables{Generation: found.Generation, Group: found.Group, Readings: found.Readings, Reports: found.Reports, Duplicates: found.Duplicates}
		if found.ReadingsDays > 0 {
			tables.ReadingsFrom = time.Now().AddDate(0, 0, -found.ReadingsDays).Add(time.Hour)
		}
		return tables, err
	}}, s.log, s.ch, quiet, prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// gateway runs a gateway until the returned function is called, which returns when its last receipts are written. It is talked to
// at its address: it answers there only when it knows the topics' ids, without which its receipts count for nothing.
func (s *stand) gateway() (address string, stop func()) {
	s.t.Helper()
	g, err := gateway.New(gateway.Config{
		Listen: "127.0.0.1:0", ReceiptsEvery: time.Hour, Age: 1e18,
		RetryWait: time.Minute, LastReceipts: time.Minute, // so that nothing depends on how busy the machine is
	}, s.log, quiet, nil, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := g.Listen(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return g.Addr(), s.background(g.Run)
}

// analytics runs the storing of a generation until the returned function is called.
func (s *stand) analytics(cfg analytics.Config) (stop func()) {
	s.t.Helper()
	cfg.MaxAge = 20 * time.Millisecond
	service, err := analytics.New(cfg, s.log, s.ch, quiet, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.background(service.Run)
}

func (s *stand) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("run: %v", err)
		}
	}
	s.t.Cleanup(stop)
	return stop
}

// post sends reports of three readings each.
func (s *stand) post(address string, reports int) {
	s.t.Helper()
	var body strings.Builder
	for n := range reports {
		fmt.Fprintf(&body, `{"client":"c","device":"d%d","readings":{"level":%d,"on":true,"state":"ok"}}`+"\n", n%17, n)
	}
	s.send(address, "application/x-ndjson", body.String())
}

func (s *stand) send(address, contentType, body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://"+address+"/v1/telemetry", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", contentType)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK || err != nil {
		s.t.Fatalf("got %d %s %v", answer.StatusCode, text, err)
	}
}

// flow lets reports go all the way: counted, in the log, stored.
func (s *stand) flow(reports int) {
	s.t.Helper()
	address, stopGateway := s.gateway()
	stopAnalytics := s.analytics(analytics.Config{})
	for sent := 0; sent < reports; sent += 500 {
		s.post(address, min(500, reports-sent))
	}
	stopGateway()
	s.wait(s.auditor)
	stopAnalytics()
}

// wait returns when everything is stored. Before the tables are there it asks again.
func (s *stand) wait(a *Auditor) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for a.Wait(ctx, s.window()) != nil {
		if ctx.Err() != nil {
			s.t.Fatal("not everything was stored within a minute")
		}
		<-time.After(20 * time.Millisecond) // another process makes the tables: there is nothing to wait on
	}
}

func (s *stand) window() Window { return Window{From: s.begin} }

func (s *stand) audit() *Result {
	s.t.Helper()
	result, err := s.auditor.Audit(s.t.Context(), s.window())
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

// differs audits, and compares what was found with what must be.
func (s *stand) differs(want ...string) *Result {
	s.t.Helper()
	result := s.audit()
	var got []string
	for _, d := range result.Differences {
		got = append(got, d.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("got differences\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	return result
}

func (s *stand) exec(statement string) {
	s.t.Helper()
	statement = strings.NewReplacer("READINGS", s.ch.Table("readings_g1"), "REPORTS", s.ch.Table("reports_g1")).Replace(statement)
	if err := s.ch.Exec(s.t.Context(), statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

const now = " SETTINGS mutations_sync = 2"

func (s *stand) topicID() string {
	s.t.Helper()
	ids, err := s.log.TopicIDs(s.t.Context(), eventlog.TopicTelemetry)
	if err != nil {
		s.t.Fatal(err)
	}
	return ids[eventlog.TopicTelemetry].String()
}

func (s *stand) append(event schemas.Event) eventlog.Position {
	s.t.Helper()
	at, err := s.log.Append(s.t.Context(), event)
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

// value returns what a counter or a gauge has.
func value(t testing.TB, m prometheus.Metric) float64 {
	t.Helper()
	var out dto.Metric
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.GetCounter().GetValue() + out.GetGauge().GetValue() + float64(out.GetHistogram().GetSampleCount())
}
