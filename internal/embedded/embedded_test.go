package embedded_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/embedded"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// logOnly leaves the engine out: the tests of package engine start it.
func logOnly(dir string) embedded.Config {
	return embedded.Config{Dir: dir, KafkaAddr: "127.0.0.1:0", RegistryAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}
}

func openLog(t *testing.T, e *embedded.Embedded) *eventlog.Log {
	t.Helper()
	log, err := eventlog.New(eventlog.Config{Brokers: e.Brokers(), Registry: e.RegistryURL()}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return log
}

func TestWhatIsAppendedIsThereAfterARestart(t *testing.T) {
	dir := t.TempDir()
	e := embedded.New(logOnly(dir))
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := openLog(t, e)
	at, err := log.Append(t.Context(), &schemas.TelemetryReported{
		Envelope: schemas.Envelope{EventID: "e-1"}, Client: "cliente02", Device: "pump-7",
		Readings: []schemas.Reading{{Metric: "temperature", Value: schemas.DoubleValue(21.5)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Close()
	if err := embedded.New(logOnly(dir)).Start(t.Context()); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("got %v, want ErrInUse while the first one runs", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}

	again := embedded.New(logOnly(dir))
	if err := again.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	log = openLog(t, again)
	defer log.Close()
	found := 0
	for record, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := log.JSON(t.Context(), record)
		if err != nil || record.Position != at || !strings.Contains(string(text), `"e-1"`) {
			t.Errorf("got %s at %s, %v, want e-1 at %s", text, record.Position, err, at)
		}
		found++
	}
	if found != 1 {
		t.Errorf("got %d records, want 1", found)
	}
}

func TestStartNamesTheFlagAndLeavesNothing(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f := func(change func(*embedded.Config), want string) {
		t.Helper()
		cfg := logOnly(t.TempDir())
		change(&cfg)
		err := embedded.New(cfg).Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), taken.Addr().String()) {
			t.Errorf("got %v, want %s and the address", err, want)
		}
		lock, err := embedded.Acquire(cfg.Dir)
		if err != nil {
			t.Fatalf("got %v, want the folder to be free again", err)
		}
		lock.Release()
	}
	f(func(c *embedded.Config) { c.KafkaAddr = taken.Addr().String() }, "--kafka-listen")
	f(func(c *embedded.Config) { c.RegistryAddr = taken.Addr().String() }, "--registry-listen")
	f(func(c *embedded.Config) { c.ClickHouseAddr = taken.Addr().String() }, "--clickhouse-listen")
}

func TestRegistryAnswers(t *testing.T) {
	e := embedded.New(logOnly(t.TempDir()))
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, e.RegistryURL()+"/subjects", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || e.ClickHouseURL() != "" {
		t.Errorf("got %d, ClickHouse at %q", res.StatusCode, e.ClickHouseURL())
	}
}
