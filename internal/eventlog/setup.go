package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/schemas"
)

// errRefused marks errors that trying again cannot mend.
var errRefused = errors.New("refused")

// Setup creates the declared topics that are missing and registers every version of every schema. It changes nothing that
// exists and may run any number of times, from any number of processes. While brokers or registry do not answer it
// tries again until ctx ends. A topic or schema that stands in the way is an error at once, see [TopicSpec.Together].
func (l *Log) Setup(ctx context.Context) error {
	var retry pause.Backoff
	for {
		err := l.setup(ctx)
		if err == nil || errors.Is(err, errRefused) || ctx.Err() != nil {
			return err
		}
		l.logger.Warn("the log is not there yet", "error", err)
		if retry.Wait(ctx); ctx.Err() != nil {
			return err
		}
	}
}

func (l *Log) setup(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Confirm)
	defer cancel()
	created := map[string]kadm.TopicID{}
	for _, spec := range Topics() {
		if err := l.createTopic(ctx, l.sized(spec), created); err != nil {
			return err
		}
	}
	if err := l.heard(ctx, created); err != nil {
		return err
	}
	for _, kind := range schemas.Kinds() {
		if err := l.register(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

// sized applies the configured partition count of telemetry.
func (l *Log) sized(spec TopicSpec) TopicSpec {
	if spec.Name == TopicTelemetry && l.cfg.Partitions > 0 {
		spec.Partitions = l.cfg.Partitions
	}
	return spec
}

// createTopic creates a topic that is missing, and adds it to created.
func (l *Log) createTopic(ctx context.Context, spec TopicSpec, created map[string]kadm.TopicID) error {
	name := l.fullName(spec.Name)
	answer, err := l.admin.CreateTopic(ctx, spec.Partitions, l.cfg.Replication, topicConfigs(spec), name)
	switch {
	case err == nil:
		created[name] = answer.ID
		l.logger.Info("created topic", "topic", name, "partitions", spec.Partitions)
		return nil
	case errors.Is(err, kerr.TopicAlreadyExists):
		return l.checkTopic(ctx, name, spec)
	case kerr.IsRetriable(err) || !isKafkaError(err):
		return fmt.Errorf("create topic %q: %w", name, err)
	}
	return fmt.Errorf("create topic %q: %w: %w", name, errRefused, err)
}

func isKafkaError(err error) bool {
	var k *kerr.Error
	return errors.As(err, &k)
}

// checkTopic refuses a topic whose partitions are not as many as must be: those that go together with other topics' as many
// as declared, telemetry's as many as the operator asks for. Any other count was the operator's choice at creation.
func (l *Log) checkTopic(ctx context.Context, name string, spec TopicSpec) error {
	topics, err := l.admin.ListTopics(ctx, name)
	if err != nil {
		return fmt.Errorf("look at topic %q: %w", name, err)
	}
	detail := topics[name]
	if detail.Err != nil {
		return fmt.Errorf("look at topic %q: %w", name, detail.Err)
	}
	count := len(detail.Partitions)
	switch {
	case count == int(spec.Partitions):
		return nil
	case spec.Together:
		return fmt.Errorf("%w: topic %q has %d partitions and must have %d, as all topics about orders: a client is in the partition of one number in each; delete it if it is empty, and it is created anew, or use another --prefix",
			errRefused, name, count, spec.Partitions)
	case l.cfg.Partitions > 0 && spec.Name == TopicTelemetry:
		return fmt.Errorf("%w: topic %q has %d partitions, --partitions asks for %d; a topic's count is fixed when it is created, so leave the flag out",
			errRefused, name, count, spec.Partitions)
	}
	return nil
}

func topicConfigs(spec TopicSpec) map[string]*string {
	policy, retention := "delete", "-1"
	if spec.Compact {
		policy = "compact"
	}
	if spec.Retention > 0 {
		retention = strconv.FormatInt(spec.Retention.Milliseconds(), 10)
	}
	return map[string]*string{"cleanup.policy": &policy, "retention.ms": &retention}
}

// register registers every version of a kind, oldest first, and remembers the id of the newest.
func (l *Log) register(ctx context.Context, kind schemas.Kind) error {
	versions, err := kind.Versions()
	if err != nil {
		return err
	}
	subject := string(kind.Subject)
	for _, v := range versions {
		registered, err := l.registerVersion(ctx, subject, sr.Schema{Schema: v.Text, Type: sr.TypeAvro})
		if err != nil {
			return registryError(fmt.Sprintf("register %q version %d", subject, v.Number), err)
		}
		l.codecs.written(kind, registered.ID)
	}
	level := sr.SetCompatibility{Level: sr.CompatFullTransitive}
	if err := l.registry.SetCompatibility(ctx, level, subject)[0].Err; err != nil {
		what := fmt.Sprintf("set compatibility of %q", subject)
		if conflicts(err) { // another process sets it at the same moment
			return fmt.Errorf("%s: %w", what, err)
		}
		return registryError(what, err)
	}
	return nil
}

func conflicts(err error) bool {
	var answer *sr.ResponseError
	return errors.As(err, &answer) && answer.StatusCode == http.StatusConflict
}

// registerVersion registers a schema. Some registries refuse one of two processes that register the same at the same moment:
// it is there then.
func (l *Log) registerVersion(ctx context.Context, subject string, s sr.Schema) (sr.SubjectSchema, error) {
	registered, err := l.registry.CreateSchema(ctx, subject, s)
	if conflicts(err) {
		if found, lookup := l.registry.LookupSchema(ctx, subject, s); lookup == nil {
			return found, nil
		}
	}
	return registered, err
}

// registryError tells an answer that will not change (4xx) from a registry that is not well.
func registryError(what string, err error) error {
	var answer *sr.ResponseError
	if errors.As(err, &answer) && answer.StatusCode >= 400 && answer.StatusCode < 500 {
		return fmt.Errorf("%s: the registry %w it: %w", what, errRefused, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Topics returns every declared topic beside what the cluster has.
func (l *Log) Topics(ctx context.Context) ([]TopicStatus, error) {
	var all []TopicStatus
	for _, spec := range Topics() {
		status, err := l.topicStatus(ctx, l.sized(spec))
		if err != nil {
			return nil, err
		}
		all = append(all, status)
	}
	return all, nil
}

func (l *Log) topicStatus(ctx context.Context, spec TopicSpec) (TopicStatus, error) {
	status := TopicStatus{TopicSpec: spec, FullName: l.fullName(spec.Name)}
	topics, err := l.admin.ListTopics(ctx, status.FullName)
	if err != nil {
		return status, fmt.Errorf("look at topic %q: %w", status.FullName, err)
	}
	detail := topics[status.FullName]
	if errors.Is(detail.Err, kerr.UnknownTopicOrPartition) {
		return status, nil
	}
	if detail.Err != nil {
		return status, fmt.Errorf("look at topic %q: %w", status.FullName, detail.Err)
	}
	status.Exists, status.ID = true, TopicID(detail.ID)
	status.ActualPartitions, status.Replication = int32(len(detail.Partitions)), detail.Partitions.NumReplicas()
	if status.Ranges, err = l.Ends(ctx, spec.Name); err != nil {
		return status, err
	}
	status.Configs, err = l.configs(ctx, status.FullName)
	return status, err
}

func (l *Log) configs(ctx context.Context, name string) (map[string]string, error) {
	described, err := l.admin.DescribeTopicConfigs(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read settings of topic %q: %w", name, err)
	}
	configs := map[string]string{}
	for _, topic := range described {
		for _, c := range topic.Configs {
			if c.Source.String() == "DYNAMIC_TOPIC_CONFIG" {
				configs[c.Key] = c.MaybeValue()
			}
		}
	}
	return configs, nil
}

// Ends returns, per partition, the first offset still held and the next to be written.
func (l *Log) Ends(ctx context.Context, topic Topic) (map[Partition]Range, error) {
	name := l.fullName(topic)
	first, err := l.listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return l.admin.ListStartOffsets(ctx, name) })
	if err != nil {
		return nil, fmt.Errorf("read first offsets of topic %q: %w", name, err)
	}
	next, err := l.listed(ctx, func(ctx context.Context) (kadm.ListedOffsets, error) { return l.admin.ListEndOffsets(ctx, name) })
	if err != nil {
		return nil, fmt.Errorf("read next offsets of topic %q: %w", name, err)
	}
	ranges := map[Partition]Range{}
	first.Each(func(o kadm.ListedOffset) {
		end, _ := next.Lookup(name, o.Partition)
		ranges[Partition(o.Partition)] = Range{First: Offset(o.Offset), Next: Offset(end.Offset)}
	})
	return ranges, nil
}
