package analytics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

var errDead = errors.New("this process is dead")

// mortal is a process's way to ClickHouse that dies at one insert, before or after ClickHouse has it. From then on nothing
// gets through.
type mortal struct {
	tables
	at    int64 // 2n: before the n-th insert; 2n+1: after it
	calls atomic.Int64
	dead  chan struct{}
	done  []clickhouse.InsertOptions // read it once dead is closed
}

func (m *mortal) Insert(ctx context.Context, o clickhouse.InsertOptions) (int, error) {
	n := m.calls.Add(1) - 1
	if n > m.at/2 {
		return 0, errDead
	}
	if n == m.at/2 && m.at%2 == 0 {
		close(m.dead)
		return 0, errDead
	}
	sent, err := m.tables.Insert(ctx, o)
	m.done = append(m.done, o)
	if n == m.at/2 {
		close(m.dead)
		return 0, errors.Join(errDead, err)
	}
	return sent, err
}

// over returns reports of one device around the end of a month: each has readings of both, and every second one was received
// in the new one. One block of them is twelve inserts: five tables of two months, and reports of two. Retries are one more.
func over(n int) *schemas.TelemetryReported {
	december := schemas.TimeOf(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	r := report(1, n)
	r.Client, r.Device = `it's ? $1 {a:String}`, `a\'b\\ ?`+"\n" // what a query must not take for its own
	r.ReceivedTime = december + schemas.Time(n%2)*2_000_000 - 1_000_000
	for i := range r.Readings {
		r.Readings[i].Time = december + schemas.Time((n+i)%2*20-10)*1_000_000 + schemas.Time(n)
	}
	return r
}

// TestCrashes lets the first process die before and after each insert of a block, and a second one, which would cut other
// blocks by itself, take over.
func TestCrashes(t *testing.T) {
	const reports, repeated = 40, 10
	for at := range int64(26) {
		t.Run(fmt.Sprintf("at half insert %d", at), func(t *testing.T) {
			s := newStand(t)
			s.watch(t)
			first := &mortal{tables: s.ch, at: at, dead: make(chan struct{})}
			victim, err := newService(Config{MaxRows: 100, MaxAge: time.Hour, Drain: time.Millisecond}, s.log, s.ch, first, quiet, nil)
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, victim)
			for n := range reports {
				s.retry(t, over(n))
				if n%4 == 2 {
					s.retry(t, over(n-2))
				}
			}
			<-first.dead
			stop()
			if at > 0 && s.count(t, "SELECT count() FROM "+s.ch.Table("readings_1m")) == 0 { // the first table of a block
				t.Error("nothing was stored before the crash")
			}

			reg := prometheus.NewRegistry()
			heir, err := New(Config{MaxRows: 7, MaxAge: 10 * time.Millisecond}, s.log, s.ch, quiet, reg)
			if err != nil {
				t.Fatal(err)
			}
			stop = run(t, heir)
			s.eventually(t, reports, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("reports"))
			s.eventually(t, reports*4, "SELECT uniqExact(`offset`, `index`) FROM "+s.ch.Table("readings"))
			s.eventually(t, repeated, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("duplicates"))
			stop()
			s.exactly(t, reports)
			s.repeated(t)
			if n := s.count(t, "SELECT sum(n) FROM "+s.ch.Table("own")); n != reports*4 {
				t.Errorf("a view saw %d readings", n)
			}
			if n := value(t, heir.metrics.again); n != 1 {
				t.Errorf("blocks stored again: got %v, want 1", n)
			}
		})
	}
}

// TestTheTokenOutlivesThePart is what a kill of ClickHouse can leave behind: it comes after the token of a part was noted and before the
// part was committed. The worker dies with its block inserted, parts of it are gone, and ClickHouse drops a repetition.
func TestTheTokenOutlivesThePart(t *testing.T) {
	const reports = 40
	for name, every := range map[string]int{"of all": 1, "of some": 3} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t)
			s.lose(t, 13, every, Config{MaxRows: 100}, func() {
				for n := range reports {
					s.retry(t, over(n))
					if n == 10 {
						s.retry(t, over(n))
					}
				}
			})
			stop := run(t, s.service(t, Config{MaxRows: 7}))
			s.eventually(t, reports, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("reports"))
			s.eventually(t, reports*4, "SELECT uniqExact(`offset`, `index`) FROM "+s.ch.Table("readings"))
			stop()
			s.exactly(t, reports)
			s.repeated(t)
		})
	}
	t.Run("of facts", func(t *testing.T) {
		const facts = 30
		s := newStand(t)
		s.lose(t, 2, 2, Config{MaxRows: 20}, func() {
			for n := range facts {
				s.tell(t, accepted("c1", fmt.Sprint("order-", n), "Product-A", n%2*40*24*3600+n))
			}
		})
		run(t, s.service(t, Config{MaxRows: 7}))
		s.eventually(t, facts, "SELECT count() FROM "+s.ch.Table("order_facts"))
		s.eventually(t, facts, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("order_facts"))
	})
}

// lose lets a service insert a block of so many inserts, die, and ClickHouse lose every n-th of its parts, but no token.
func (s *stand) lose(t testing.TB, inserts int64, every int, cfg Config, feed func()) {
	t.Helper()
	first := &mortal{tables: s.ch, at: 2*inserts - 1, dead: make(chan struct{})}
	cfg.MaxAge, cfg.Drain = time.Hour, time.Millisecond
	victim, err := newService(cfg, s.log, s.ch, first, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, victim)
	feed()
	<-first.dead
	stop()
	var parts []string
	for i, o := range first.done {
		part := fmt.Sprintf("active AND database = %s AND table = %s AND partition = '%s'",
			clickhouse.Quote(s.ch.Database()), clickhouse.Quote(o.Table), o.Token[len(o.Token)-len("202611"):])
		var path string
		if err := s.ch.Scan(t.Context(), "SELECT path FROM system.parts WHERE "+part, &path); err != nil {
			t.Fatalf("%s: %v", part, err)
		}
		if parts = append(parts, part); i%every == 0 {
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	clickhousetest.Kill(t, s.ch)
	for i, o := range first.done {
		if _, err := s.ch.Insert(t.Context(), o); err != nil {
			t.Fatalf("repeat the insert: %v", err)
		}
		if n := s.count(t, "SELECT count() FROM system.parts WHERE "+parts[i]); (n == 0) != (i%every == 0) {
			t.Fatalf("%s: %d parts: a token does not outlive its part, then nothing here needs doing", parts[i], n)
		}
	}
}

// watch makes the tables, and a view of readings that sees each block once.
func (s *stand) watch(t testing.TB) {
	t.Helper()
	if err := (schema{cfg: Config{}.withDefaults(), ch: s.ch}).apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE TABLE " + s.ch.Table("own") + " (n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY () SETTINGS non_replicated_deduplication_window = 100",
		"CREATE MATERIALIZED VIEW " + s.ch.Table("own_view") + " TO " + s.ch.Table("own") + " AS SELECT count() AS n FROM " + s.ch.Table("readings_g1"),
	} {
		if err := s.ch.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// exactly checks that the tables hold so many reports of four readings each, once, and the rollups what follows.
func (s *stand) exactly(t testing.TB, reports uint64) {
	t.Helper()
	f := func(want uint64, query string) {
		t.Helper()
		if got := s.count(t, query); got != want {
			t.Errorf("%s: got %d, want %d", query, got, want)
		}
	}
	f(reports, "SELECT count() FROM "+s.ch.Table("reports"))
	f(reports*4, "SELECT count() FROM "+s.ch.Table("readings"))
	f(reports*4, "SELECT uniqExact(partition, `offset`, `index`) FROM "+s.ch.Table("readings"))
	f(reports*4, "SELECT toUInt64(sum(readings)) FROM "+s.ch.Table("reports"))
	for _, rollup := range (schema{}).Rollups() {
		f(reports*3, "SELECT sum(count) FROM "+s.ch.Table(rollup))
	}
	s.recompute(t)
}

// TestTheEngineIsKilled kills ClickHouse again and again while blocks are being stored.
func TestTheEngineIsKilled(t *testing.T) {
	s := newStand(t)
	stop := run(t, s.service(t, Config{MaxRows: 300, MaxAge: 20 * time.Millisecond}))
	for round := range 4 {
		s.append(t, 20, 20)
		s.eventually(t, 1, fmt.Sprintf("SELECT toUInt64(count() > %d) FROM %s", round*400, s.ch.Table("reports")))
		s.append(t, 20, 20)
		clickhousetest.Kill(t, s.ch)
	}
	s.eventually(t, 3200, "SELECT count() FROM "+s.ch.Table("reports"))
	s.eventually(t, 3200*4, "SELECT count() FROM "+s.ch.Table("readings"))
	stop()
	s.exactly(t, 3200)
}

// TestPartitionsMove lets members join and leave while rows are being stored.
func TestPartitionsMove(t *testing.T) {
	s := newStand(t)
	var stops []func()
	for member := range 3 {
		stops = append(stops, run(t, s.service(t, Config{MaxRows: 100, MaxAge: 5 * time.Millisecond})))
		s.append(t, 20, 20)
		s.eventually(t, 1, fmt.Sprintf("SELECT toUInt64(count() > %d) FROM %s", member*400+100, s.ch.Table("reports")))
	}
	for _, stop := range stops[:2] {
		s.append(t, 20, 20)
		stop()
	}
	s.eventually(t, 2000, "SELECT count() FROM "+s.ch.Table("reports"))
	s.eventually(t, 8000, "SELECT count() FROM "+s.ch.Table("readings"))
	stops[2]()
	s.exactly(t, 2000)
}

// TestAnAnswerIsLost makes ClickHouse store every insert and the answer get lost on the way.
func TestAnAnswerIsLost(t *testing.T) {
	s := newStand(t)
	into := &deaf{tables: s.ch}
	service, err := newService(Config{MaxAge: 20 * time.Millisecond}, s.log, s.ch, into, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, service)
	s.append(t, 10, 20)
	s.eventually(t, 200, "SELECT count() FROM "+s.ch.Table("reports"))
	stop()
	s.exactly(t, 200)
	if n := value(t, service.metrics.failures.WithLabelValues(string(clickhouse.Unreachable))); n == 0 {
		t.Error("no failure was counted")
	}
}

// deaf loses every second answer.
type deaf struct {
	tables
	calls atomic.Int64
}

func (d *deaf) Insert(ctx context.Context, o clickhouse.InsertOptions) (int, error) {
	sent, err := d.tables.Insert(ctx, o)
	if d.calls.Add(1)%2 == 1 {
		return 0, errors.Join(errors.New("connection reset"), err)
	}
	return sent, err
}

// TestTokens says what is in a token, because tables remember them across versions of the program.
func TestTokens(t *testing.T) {
	st := &store{sink: &sink{cfg: Config{Generation: 3}}, of: eventlog.Block{Topic: "telemetry", TopicID: eventlog.TopicID{0xab}, Partition: 5, First: 10, Last: 19}}
	want := "g3-ab000000000000000000000000000000:telemetry:5:10-19:readings_g3:202611"
	if got := st.token("readings_g3", 202611); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	others := []string{want, st.token("readings_g3", 202612), st.token("reports_g3", 202611)}
	if slices.Sort(others); len(slices.Compact(others)) != 3 {
		t.Error("tokens of different groups are equal")
	}
}
