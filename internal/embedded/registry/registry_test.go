package registry_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/embedded/registry"
)

func start(t *testing.T, kafka *kfake.Cluster) (*registry.Registry, *sr.Client) {
	t.Helper()
	r := registry.New(registry.Config{Addr: "127.0.0.1:0", Brokers: kafka.ListenAddrs(), Logger: slog.New(slog.DiscardHandler)})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	client, err := sr.NewClient(sr.URLs(r.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return r, client
}

func cluster(t *testing.T) *kfake.Cluster {
	t.Helper()
	kafka, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(kafka.Close)
	return kafka
}

func avro(fields string) sr.Schema {
	return sr.Schema{Schema: `{"type":"record","name":"Pump","fields":[` + fields + `]}`}
}

const (
	id    = `{"name":"id","type":"string"}`
	level = `,{"name":"level","type":"long","default":0}`
	zone  = `,{"name":"zone","type":"string","default":""}`
)

func TestIdsSurviveARestart(t *testing.T) {
	kafka, ctx := cluster(t), t.Context()
	_, before := start(t, kafka)
	for _, s := range []struct{ subject, fields string }{{"a", id}, {"b", id + level}, {"a", id + level}, {"c", id}} {
		if _, err := before.CreateSchema(ctx, s.subject, avro(s.fields)); err != nil {
			t.Fatal(err)
		}
	}
	if res := before.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, "a"); res[0].Err != nil {
		t.Fatal(res[0].Err)
	}
	if _, err := before.DeleteSubject(ctx, "c", sr.SoftDelete); err != nil {
		t.Fatal(err)
	}
	want, err := before.AllSchemas(ctx)
	if err != nil || len(want) == 0 {
		t.Fatal(want, err)
	}
	_, after := start(t, kafka)
	got, err := after.AllSchemas(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("got %d schemas, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].Subject != want[i].Subject || got[i].Version != want[i].Version || got[i].ID != want[i].ID || got[i].Schema.Schema != want[i].Schema.Schema {
			t.Errorf("got %+v, want %+v", got[i], want[i])
		}
	}
	if c := after.Compatibility(ctx, "a"); c[0].Level != sr.CompatFullTransitive {
		t.Errorf("compatibility of a is %v", c[0])
	}
	again, err := after.CreateSchema(ctx, "a", avro(id))
	if err != nil || again.ID != want[0].ID {
		t.Errorf("registered again: got id %d (%v), want %d", again.ID, err, want[0].ID)
	}
}

func TestAPageOfAnotherSiteDoesNothing(t *testing.T) {
	r, client := start(t, cluster(t))
	f := func(method, path, host, site string, want int) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, r.URL()+path, strings.NewReader(`{"compatibility":"NONE"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = host
		req.Header.Set("Sec-Fetch-Site", site)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s %s at %s from %s: got %d, want %d", method, path, host, site, resp.StatusCode, want)
		}
	}
	f("PUT", "/config", "127.0.0.1", "cross-site", http.StatusForbidden)
	f("PUT", "/config", "evil.example", "same-origin", http.StatusMisdirectedRequest)
	f("GET", "/subjects", "evil.example", "same-origin", http.StatusMisdirectedRequest)
	f("GET", "/subjects", "localhost", "none", http.StatusOK)
	if c := client.Compatibility(t.Context()); c[0].Err != nil || c[0].Level == sr.CompatNone {
		t.Errorf("compatibility is %v", c[0])
	}
}

func TestAnIncompatibleSchemaIsRefused(t *testing.T) {
	_, client := start(t, cluster(t))
	ctx := t.Context()
	if _, err := client.CreateSchema(ctx, "a", avro(id)); err != nil {
		t.Fatal(err)
	}
	client.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatFullTransitive}, "a")
	if _, err := client.CreateSchema(ctx, "a", avro(id+level)); err != nil {
		t.Fatal(err)
	}
	f := func(fields string, compatible bool) {
		t.Helper()
		check, err := client.CheckCompatibility(ctx, "a", -1, avro(fields))
		if err != nil || check.Is != compatible {
			t.Errorf("%s: asked, got %v (%v), want %v", fields, check.Is, err, compatible)
		}
		_, err = client.CreateSchema(ctx, "a", avro(fields))
		if (err == nil) != compatible {
			t.Errorf("%s: registered, got %v, want compatible %v", fields, err, compatible)
		}
		if err != nil && !strings.Contains(err.Error(), "version") {
			t.Errorf("%s: the error names no version: %v", fields, err)
		}
	}
	f(`{"name":"id","type":"long"}`, false)
	f(`{"name":"other","type":"string"}`, false)
	f(id+`,{"name":"must","type":"string"}`, false)
	f(id+level+zone, true)
	if _, err := client.CreateSchema(ctx, "b", sr.Schema{Schema: `{"type":"no such type"}`}); err == nil {
		t.Error("an invalid schema was registered")
	}
}

// TestAnIDIsFoundWhateverTheSubject asks as confluent-kafka's deserializers do: with a subject made of the topic's name.
func TestAnIDIsFoundWhateverTheSubject(t *testing.T) {
	r, client := start(t, cluster(t))
	if _, err := client.CreateSchema(t.Context(), "dev.fieldlog.Pump", avro(id)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/schemas/ids/1?subject=telemetry-value&format=": 200, "/schemas/ids/2?subject=dev.fieldlog.Pump": 404, "/schemas/types": 200} {
		resp, err := http.Get(r.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestManyRegistrationsOfOneSchemaGiveOneID(t *testing.T) {
	_, client := start(t, cluster(t))
	var wg sync.WaitGroup
	ids := make([]int, 20)
	for i := range ids {
		wg.Go(func() {
			s, err := client.CreateSchema(t.Context(), "a", avro(id))
			if err != nil {
				t.Error(err)
			}
			ids[i] = s.ID
		})
	}
	wg.Wait()
	for _, got := range ids {
		if got != ids[0] {
			t.Fatalf("got ids %v", ids)
		}
	}
}

// TestWhatIsNotDurableIsNotThere lets the append of a change fail.
func TestWhatIsNotDurableIsNotThere(t *testing.T) {
	kafka := cluster(t)
	r, client := start(t, kafka)
	first, err := client.CreateSchema(t.Context(), "a", avro(id))
	if err != nil {
		t.Fatal(err)
	}
	kafka.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, asked := range req.(*kmsg.ProduceRequest).Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = asked.Topic, asked.TopicID
			part := kmsg.NewProduceResponseTopicPartition()
			part.ErrorCode = kerr.TopicAuthorizationFailed.Code
			topic.Partitions = append(topic.Partitions, part)
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true // this once
	})
	resp, err := http.Post(r.URL()+"/subjects/b/versions", "application/json", strings.NewReader(`{"schema":"\"string\""}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusInternalServerError {
		t.Errorf("got %d %s, want 500", resp.StatusCode, text)
	}
	second, err := client.CreateSchema(t.Context(), "c", avro(id+zone)) // reads the topic again first
	if err != nil {
		t.Fatal(err)
	}
	if second.ID != first.ID+1 {
		t.Errorf("got id %d after id %d: the lost registration left something", second.ID, first.ID)
	}
	if subjects, err := client.Subjects(context.Background()); err != nil || strings.Join(subjects, ",") != "a,c" {
		t.Errorf("got subjects %v (%v), want a and c", subjects, err)
	}
}
