package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Topic holds the registry's changes, one record each, in one partition, for ever.
const Topic = "_schemas"

// change is a request that changed the registry, and how it was answered.
type change struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   []byte `json:"body,omitempty"`
	Status int    `json:"status"`
	Answer []byte `json:"answer,omitempty"`
}

// decodeChange reads a record of the topic. What it returns without an error can be asked of a registry again.
func decodeChange(value []byte) (change, error) {
	var c change
	if err := json.Unmarshal(value, &c); err != nil {
		return c, err
	}
	_, err := url.ParseRequestURI(c.Path)
	if err != nil || c.Path[0] != '/' || strings.ContainsFunc(c.Path, notInTarget) || !slices.Contains(changing, c.Method) || c.Status < 200 || c.Status > 299 {
		return c, errors.New("it is no change of this registry")
	}
	return c, nil
}

// changing are the methods of requests that may change the registry.
var changing = []string{http.MethodPost, http.MethodPut, http.MethodDelete}

// notInTarget tells what would end a request's target, or its line.
func notInTarget(r rune) bool { return r <= ' ' || r == 0x7f }

// journal is the topic.
type journal struct {
	brokers []string
	client  *kgo.Client
}

func openJournal(ctx context.Context, brokers []string) (*journal, error) {
	j := &journal{brokers: brokers}
	if err := j.connect(); err != nil {
		return nil, err
	}
	keep, policy := "-1", "delete"
	configs := map[string]*string{"cleanup.policy": &policy, "retention.ms": &keep, "retention.bytes": &keep}
	_, err := kadm.NewClient(j.client).CreateTopic(ctx, 1, -1, configs, Topic)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		j.close()
		return nil, fmt.Errorf("create topic %q: %w", Topic, err)
	}
	return j, nil
}

func (j *journal) connect() error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(j.brokers...), kgo.ClientID("fieldlog-registry"), kgo.DefaultProduceTopic(Topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), kgo.RecordDeliveryTimeout(10*time.Second), kgo.ProducerLinger(0),
	)
	if err != nil {
		return fmt.Errorf("connect to %v: %w", j.brokers, err)
	}
	j.client = client
	return nil
}

func (j *journal) close() { j.client.Close() }

// append returns nil when every in-sync replica has the change. After an error the producer is thrown away, so that a
// change which was refused is not sent later.
func (j *journal) append(ctx context.Context, c change) error {
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write change: %w", err)
	}
	err = j.client.ProduceSync(context.WithoutCancel(ctx), &kgo.Record{Key: []byte(c.Path), Value: value}).FirstErr()
	if err == nil {
		return nil
	}
	j.client.Close()
	return errors.Join(fmt.Errorf("append to topic %q: %w", Topic, err), j.connect())
}

// replay gives every change to apply, in order, up to the end of the topic as it is now.
func (j *journal) replay(ctx context.Context, apply func(change) error) error {
	ends, err := kadm.NewClient(j.client).ListEndOffsets(ctx, Topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return fmt.Errorf("find the end of topic %q: %w", Topic, err)
	}
	end, _ := ends.Lookup(Topic, 0)
	if end.Offset <= 0 {
		return nil
	}
	reader, err := kgo.NewClient(kgo.SeedBrokers(j.brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		Topic: {0: kgo.NewOffset().AtStart()},
	}))
	if err != nil {
		return fmt.Errorf("read topic %q: %w", Topic, err)
	}
	defer reader.Close()
	for next := int64(0); next < end.Offset; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read topic %q: %w", Topic, err)
		}
		for _, record := range fetches.Records() {
			next = record.Offset + 1
			if err := replayRecord(record, apply); err != nil {
				return fmt.Errorf("read topic %q at offset %d: %w", Topic, record.Offset, err)
			}
		}
	}
	return nil
}

func replayRecord(record *kgo.Record, apply func(change) error) error {
	c, err := decodeChange(record.Value)
	if err != nil {
		return err
	}
	return apply(c)
}
