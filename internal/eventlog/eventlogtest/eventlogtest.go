// Package eventlogtest starts a log inside the test's own process: a Kafka-protocol broker and a schema registry, both
// in memory, both gone when the test ends.
package eventlogtest

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Cluster is a broker and a registry in memory.
type Cluster struct {
	// Kafka lets a test inject faults.
	Kafka *kfake.Cluster
	// Registry lets a test seed schemas.
	Registry *srfake.Registry
}

// Start starts a cluster with one broker.
func Start(t testing.TB) *Cluster {
	t.Helper()
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatalf("start broker: %v", err)
	}
	t.Cleanup(kafka.Close)
	registry := srfake.New()
	t.Cleanup(registry.Close)
	return &Cluster{Kafka: kafka, Registry: registry}
}

// Config points at the cluster.
func (c *Cluster) Config() eventlog.Config {
	return eventlog.Config{Brokers: c.Kafka.ListenAddrs(), Registry: c.Registry.URL()}
}

// Open returns a log on the cluster with its topics and schemas set up. It is closed when the test ends.
func (c *Cluster) Open(t testing.TB, cfg eventlog.Config) *eventlog.Log {
	t.Helper()
	log, err := eventlog.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	t.Cleanup(log.Close)
	if err := log.Setup(t.Context()); err != nil {
		t.Fatalf("set up log: %v", err)
	}
	return log
}

// Silence lets the broker leave every produce without an answer until the test ends.
func (c *Cluster) Silence(t testing.TB) {
	t.Helper()
	speak := make(chan struct{})
	t.Cleanup(func() { close(speak) })
	c.Kafka.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.Kafka.KeepControl()
		select {
		case <-speak:
			return nil, nil, false
		default:
			return nil, nil, true
		}
	})
}
