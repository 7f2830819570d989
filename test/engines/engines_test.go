//go:build realengines

package engines_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/test/engines"
)

const subjects = 5

// register registers schema n at the registry and returns its id.
func register(t *testing.T, url string, n int) int {
	t.Helper()
	schema := fmt.Sprintf(`{"type":"record","name":"R%d","fields":[]}`, n)
	body, err := json.Marshal(map[string]string{"schema": schema})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(fmt.Sprintf("%s/subjects/s%d/versions", url, n), "application/vnd.schemaregistry.v1+json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct{ ID int }
	if err := json.Unmarshal(text, &answer); err != nil || answer.ID == 0 {
		t.Fatalf("register %s: got %s (%v)", schema, text, err)
	}
	return answer.ID
}

// TestWhatWasAcknowledgedSurvives kills, stops and pauses brokers and registry while records are written.
func TestWhatWasAcknowledgedSurvives(t *testing.T) {
	c := engines.StartTest(t, engines.Options{})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Brokers()...), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(t.Context(), 6, -1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	records := 0
	produce := func(when string) {
		t.Helper()
		for range 20 {
			if err := client.ProduceSync(t.Context(), &kgo.Record{Key: fmt.Append(nil, records), Value: []byte(when)}).FirstErr(); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			records++
		}
	}
	ready := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Ready(ctx); err != nil {
			t.Fatalf("not ready: %v", err)
		}
	}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var ids []int
	for n := range subjects {
		ids = append(ids, register(t, c.Registry(), n))
	}

	produce("all are there")
	ok(c.Broker(0).Kill())
	ok(c.RegistryProcess().Kill())
	produce("one is killed")
	ok(c.Broker(0).Start())
	ok(c.RegistryProcess().Start())
	ready()
	ok(c.Broker(1).Pause())
	produce("one is paused")
	ok(c.Broker(1).Resume())
	ready()
	ok(c.Broker(2).Stop(t.Context()))
	produce("one is stopped")
	ok(c.Broker(1).Kill())
	ok(c.Broker(0).Kill())
	for n := range 3 {
		ok(c.Broker(n).Start())
	}
	ready()
	produce("all were down")

	for n, want := range ids {
		if got := register(t, c.Registry(), n); got != want {
			t.Errorf("schema %d had id %d, now %d", n, want, got)
		}
	}
	ends, err := admin.ListEndOffsets(t.Context(), "t")
	ok(err)
	got := 0
	ends.Each(func(o kadm.ListedOffset) { got += int(o.Offset) })
	if got != records {
		t.Errorf("%d records are there, %d were acknowledged", got, records)
	}
	if err := c.Broker(0).Start(); err == nil || !strings.Contains(err.Error(), "broker 0") {
		t.Errorf("a second start: got %v", err)
	}
}

// TestClientsAreSentWhereTheBrokersSay lets the brokers advertise other addresses than they listen on.
func TestClientsAreSentWhereTheBrokersSay(t *testing.T) {
	listens := map[string]int{}
	c := engines.StartTest(t, engines.Options{Advertise: func(broker int, listen string) string {
		listens[listen] = broker
		return fmt.Sprintf("proxy%d.invalid:%d", broker, 9092+broker)
	}})
	for listen, broker := range listens {
		client, err := kgo.NewClient(kgo.SeedBrokers(listen))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := kadm.NewClient(client).ListBrokers(t.Context())
		client.Close()
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range resp {
			if want := fmt.Sprintf("proxy%d.invalid", i); got.Host != want || got.Port != int32(9092+i) {
				t.Errorf("broker %d says that broker %d is at %s:%d, want %s:%d", broker, i, got.Host, got.Port, want, 9092+i)
			}
		}
	}
	if got, want := strings.Join(c.Brokers(), " "), "proxy0.invalid:9092 proxy1.invalid:9093 proxy2.invalid:9094"; got != want {
		t.Errorf("clients are given %s, want %s", got, want)
	}
}
