// Package eventlogtest starts a log for a test. By default a Kafka-protocol broker and a schema registry run in memory, inside
// the test's own process, and are gone when the test ends. Where FIELDLOG_TEST_BROKERS and FIELDLOG_TEST_REGISTRY name real
// ones (`make test-kafka`), the same test runs on those, with topics of its own that are deleted when it ends.
//
// A test that injects faults into the broker needs one in memory, and says so: it calls [StartFake].
package eventlogtest

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// Cluster is brokers and a registry.
type Cluster struct{ cfg eventlog.Config }

// Fake is a broker and a registry in memory.
type Fake struct {
	*Cluster
	// Kafka lets a test inject faults.
	Kafka *kfake.Cluster
	// Registry lets a test seed schemas.
	Registry *srfake.Registry
}

// Start returns a cluster that has nothing of ours yet.
func Start(t testing.TB) *Cluster {
	t.Helper()
	brokers := os.Getenv("FIELDLOG_TEST_BROKERS")
	if brokers == "" {
		return StartFake(t).Cluster
	}
	c := &Cluster{eventlog.Config{
		Brokers: strings.Split(brokers, ","), Registry: os.Getenv("FIELDLOG_TEST_REGISTRY"),
		Prefix: fmt.Sprintf("test-%016x.", rand.Uint64()),
	}}
	t.Cleanup(func() { c.clean(t) })
	return c
}

// StartFake starts a cluster with one broker in memory.
func StartFake(t testing.TB, opts ...kfake.Opt) *Fake {
	t.Helper()
	kafka, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatalf("start broker: %v", err)
	}
	t.Cleanup(kafka.Close)
	registry := srfake.New()
	t.Cleanup(registry.Close)
	cfg := eventlog.Config{Brokers: kafka.ListenAddrs(), Registry: registry.URL(), Prefix: "fieldlog."}
	return &Fake{Cluster: &Cluster{cfg}, Kafka: kafka, Registry: registry}
}

// clean deletes the test's topics: brokers that keep those of every test run out of memory.
func (c *Cluster) clean(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	admin := c.Admin(t)
	topics, err := admin.ListTopics(ctx)
	if err != nil {
		t.Errorf("list the test's topics: %v", err)
		return
	}
	var own []string
	for _, name := range topics.Names() {
		if strings.HasPrefix(name, c.cfg.Prefix) {
			own = append(own, name)
		}
	}
	if _, err := admin.DeleteTopics(ctx, own...); err != nil {
		t.Errorf("delete the test's topics: %v", err)
	}
}

// Config points at the cluster.
func (c *Cluster) Config() eventlog.Config { return c.cfg }

// Name returns the name that a topic or a group of ours has on the cluster.
func (c *Cluster) Name(ours string) string { return c.cfg.Prefix + ours }

// Admin returns a client for what the log has no words for. It is closed when the test ends.
func (c *Cluster) Admin(t testing.TB) *kadm.Client {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.cfg.Brokers...), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatalf("make admin client: %v", err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
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
func (c *Fake) Silence(t testing.TB) {
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
