package eventlog

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"github.com/twmb/franz-go/pkg/sr"
)

// Log is a connection to the log. It is safe for concurrent use.
type Log struct {
	cfg      Config
	logger   *slog.Logger
	metrics  *metrics
	producer *kgo.Client // appends, and asks the brokers
	admin    *kadm.Client
	registry *sr.Client
	codecs   *codecs
	subjects *subjects
	batches  sync.Pool

	topicNames map[Topic]string     // with prefix, made once
	keyed      kgo.TopicPartitioner // of records with keys alone, for which it keeps no state

	appender  atomic.Pointer[kgo.Client] // appends; producer, unless that was replaced
	replacing sync.Mutex
	closed    bool // nothing is replaced any more
	retiring  sync.WaitGroup
}

// New returns a Log that has not connected to anything yet. Close it.
func New(cfg Config, logger *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	registry, err := newRegistry(cfg)
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, logger: logger, metrics: newMetrics(reg), registry: registry, topicNames: map[Topic]string{}}
	l.keyed = kgo.StickyKeyPartitioner(nil).ForTopic("")
	for _, spec := range Topics() {
		l.topicNames[spec.Name] = l.fullName(spec.Name)
	}
	if l.codecs, err = newCodecs(registry); err != nil {
		return nil, err
	}
	l.subjects = &subjects{codecs: l.codecs, now: time.Now, known: map[subjectVersion]*registered{}}
	l.producer, err = l.newProducer(l.metrics.kafka)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	l.appender.Store(l.producer)
	l.admin = kadm.NewClient(l.producer)
	l.batches.New = func() any { return &Batch{log: l} }
	return l, nil
}

func (l *Log) newProducer(metrics kgo.Hook) (*kgo.Client, error) {
	return kgo.NewClient(append(l.clientOptions(),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.SnappyCompression(), kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(int32(l.cfg.MaxEventBytes)+batchOverhead),
		kgo.MaxBufferedRecords(l.cfg.MaxBufferedRecords),
		kgo.MaxBufferedBytes(l.cfg.MaxBufferedBytes),
		kgo.RecordDeliveryTimeout(l.cfg.Confirm),
		kgo.ProduceRequestTimeout(l.cfg.Confirm),
		kgo.ProducerLinger(time.Millisecond),
		kgo.WithHooks(metrics),
	)...)
}

// batchOverhead is room for the record's frame, key and headers beside an event's bytes.
const batchOverhead = 16 << 10

func newRegistry(cfg Config) (*sr.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = cfg.TLS
	opts := []sr.ClientOpt{
		sr.URLs(cfg.Registry),
		sr.HTTPClient(&http.Client{Transport: transport, Timeout: cfg.Confirm}),
	}
	if cfg.RegistryUser != "" {
		opts = append(opts, sr.BasicAuth(cfg.RegistryUser, cfg.RegistryPassword))
	}
	client, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("make registry client for %q: %w", cfg.Registry, err)
	}
	return client, nil
}

// clientOptions are those of every Kafka client the Log makes.
func (l *Log) clientOptions() []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(l.cfg.Brokers...),
		kgo.ClientID(l.cfg.ClientID),
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
	if l.cfg.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(l.cfg.TLS))
	}
	if l.cfg.User != "" {
		opts = append(opts, kgo.SASL(scram.Auth{User: l.cfg.User, Pass: l.cfg.Password}.AsSha512Mechanism()))
	}
	return opts
}

// Ready returns nil when brokers and registry answer.
func (l *Log) Ready(ctx context.Context) error {
	if err := l.producer.Ping(ctx); err != nil {
		return fmt.Errorf("reach brokers %v: %w", l.cfg.Brokers, err)
	}
	if _, err := l.registry.Subjects(ctx); err != nil {
		return fmt.Errorf("reach schema registry %q: %w", l.cfg.Registry, err)
	}
	return nil
}

// Close waits up to the confirmation time for what is buffered, then disconnects.
func (l *Log) Close() {
	l.replacing.Lock()
	l.closed = true
	l.replacing.Unlock()
	if appender := l.appender.Load(); appender != l.producer {
		l.retiring.Go(func() { l.retire(appender) })
	}
	l.retire(l.producer)
	l.retiring.Wait()
}

// retire closes a producer once what it has is confirmed or given up.
func (l *Log) retire(producer *kgo.Client) {
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Confirm)
	defer cancel()
	if err := producer.Flush(ctx); err != nil {
		l.logger.Warn("closed a producer with unconfirmed events", "error", err)
	}
	producer.Close()
}

func (l *Log) fullName(t Topic) string { return l.cfg.Prefix + string(t) }
