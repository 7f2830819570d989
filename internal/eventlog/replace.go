package eventlog

import (
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// replace puts another producer in the place of one that failed with UNKNOWN_TOPIC_ID. It never goes on in a topic that was deleted
// and created again. It could be told to forget the topic, but then it would begin anew with sequence numbers under the id it had,
// and where the topic is still the same one, the brokers may take a new batch for the repetition of an early one, and confirm what
// they do not append. A new producer has an id of its own.
//
//  1. A batch fails. Whoever appended it is told that it is unconfirmed.
//  2. The producer is replaced, once for all batches that fail with it.
//  3. Later batches go to the new one, and the old one is closed when what it has is confirmed or given up. What was
//     unconfirmed by then may be appended after them.
func (l *Log) replace(failed *kgo.Client) {
	l.replacing.Lock()
	defer l.replacing.Unlock()
	if l.closed || l.appender.Load() != failed {
		return
	}
	producer, err := l.newProducer(sameMetrics{l.metrics.kafka})
	if err != nil {
		l.logger.Error("cannot replace a producer", "error", err)
		return
	}
	l.appender.Store(producer)
	l.logger.Warn("replaced a producer that knew a topic which is no longer there; was it deleted and created again?")
	if failed != l.producer { // that one still asks the brokers
		l.retiring.Go(func() { l.retire(failed) })
	}
}

// sameMetrics lets a further producer count where the first one does.
type sameMetrics struct{ *kprom.Metrics }

// OnNewClient implements kgo.HookNewClient: the metrics are there.
func (sameMetrics) OnNewClient(*kgo.Client) {}

// OnClientClosed implements kgo.HookClientClosed: the metrics stay.
func (sameMetrics) OnClientClosed(*kgo.Client) {}
