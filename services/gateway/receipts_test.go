package gateway

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
)

// TestATallyHasEveryOffsetOnce counts offsets in the order in which concurrent requests are confirmed, and worse.
func TestATallyHasEveryOffsetOnce(t *testing.T) {
	const records = 50_000
	f := func(name string, order func(i int) int, most int) {
		t.Helper()
		tally, want := newTally(), []eventlog.Range{}
		for i := range records {
			o := eventlog.Offset(order(i))
			tally.add(eventlog.Position{Topic: "telemetry", Partition: 3, Offset: o}, 2)
			want = append(want, eventlog.Range{First: o, Next: o + 1})
			if tally.ranges > most {
				t.Fatalf("%s: %d ranges after %d records, want at most %d", name, tally.ranges, i, most)
			}
		}
		c := tally.counts[place{"telemetry", 3}]
		tally.ranges -= c.merge()
		set := offsets.Of(want)
		if len(c.ranges) != len(set) || len(set.Without(c.ranges)) != 0 || tally.ranges != len(set) {
			t.Errorf("%s: got %d ranges (counted %d), want %d", name, len(c.ranges), tally.ranges, len(set))
		}
		if c.records != records || c.readings != 2*records {
			t.Errorf("%s: got %d records, %d readings", name, c.records, c.readings)
		}
	}
	permuted := rand.New(rand.NewPCG(1, 2)).Perm(records)
	f("in order", func(i int) int { return i }, 1)
	f("downwards", func(i int) int { return records - i }, 1)
	f("neighbours swapped", func(i int) int { return i ^ 1 }, firstSort+1)
	f("at random", func(i int) int { return permuted[i] }, records)
	f("every other", func(i int) int { return 2 * i }, records)
}

func TestATallyIsBounded(t *testing.T) {
	tally := newTally()
	for i := range mostRanges + 10 {
		tally.add(eventlog.Position{Topic: "telemetry", Offset: eventlog.Offset(2 * i)}, 1)
	}
	if tally.ranges != mostRanges || tally.dropped != 10 || tally.counts[place{"telemetry", 0}].records != mostRanges {
		t.Errorf("got %d ranges, %d dropped", tally.ranges, tally.dropped)
	}
}

func BenchmarkCount(b *testing.B) {
	tally := newTally()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		o := eventlog.Offset(i / 12)
		tally.add(eventlog.Position{Topic: "telemetry", Partition: eventlog.Partition(i % 12), Offset: o ^ 1}, 10)
		if i%1_000_000 == 0 {
			tally.reset()
		}
	}
}

// counter is a gateway's receipts on a log in memory.
type counter struct {
	*receipts
	cluster *eventlogtest.Cluster
	log     *eventlog.Log
}

func newCounter(t *testing.T) counter {
	t.Helper()
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	r := newReceipts(Config{Host: "gw"}.withDefaults(), log, slog.New(slog.DiscardHandler), newMetrics(nil))
	r.identify(t.Context())
	return counter{r, cluster, log}
}

// confirmed counts as if the log had confirmed offsets of a partition.
func (c counter) confirmed(topic eventlog.Topic, list ...eventlog.Offset) {
	for _, o := range list {
		c.count([]eventlog.Result{{Position: eventlog.Position{Topic: topic, Partition: 1, Offset: o}}, {Err: eventlog.ErrUnconfirmed}}, []item{{readings: 3}, {readings: 9}})
	}
}

// written returns the receipts in the log.
func (c counter) written(t *testing.T) []schemas.ReceiptsCounted {
	t.Helper()
	decoder := eventlog.NewDecoder[schemas.ReceiptsCounted](c.log, schemas.KindReceiptsCounted)
	var all []schemas.ReceiptsCounted
	for record, err := range c.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicReceipts}) {
		if err != nil {
			t.Fatal(err)
		}
		var event schemas.ReceiptsCounted
		if err := decoder.Decode(t.Context(), record, &event); err != nil {
			t.Fatal(err)
		}
		all = append(all, event)
	}
	return all
}

func TestReceiptsAreNumberedAndExact(t *testing.T) {
	c := newCounter(t)
	c.write(t.Context()) // nothing was counted, so there is nothing to write
	c.confirmed("telemetry", 7, 5, 6, 9)
	c.write(t.Context())
	c.confirmed("telemetry", 8)
	c.write(t.Context())
	all := c.written(t)
	if len(all) != 2 || all[0].Sequence != 1 || all[1].Sequence != 2 || all[0].Instance != all[1].Instance || all[0].ToTime != all[1].FromTime {
		t.Fatalf("got %+v", all)
	}
	ids, err := c.log.TopicIDs(t.Context(), "telemetry")
	if err != nil {
		t.Fatal(err)
	}
	p := all[0].Partitions[0]
	if len(all[0].Partitions) != 1 || p.TopicID != ids["telemetry"].String() || p.Partition != 1 || p.Records != 4 || p.Readings != 12 ||
		len(p.Ranges) != 2 || p.Ranges[0] != (schemas.OffsetRange{First: 5, Last: 7}) || p.Ranges[1] != (schemas.OffsetRange{First: 9, Last: 9}) {
		t.Errorf("got %+v", p)
	}
}

func TestReceiptsThatAreNotConfirmedAreSentAgainAsTheyAre(t *testing.T) {
	c := newCounter(t)
	c.confirmed("telemetry", 1)
	if err := c.seal(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.send(ended); !errors.Is(err, eventlog.ErrUnconfirmed) {
		t.Fatalf("got %v, want unconfirmed", err)
	}
	c.confirmed("telemetry", 2)
	c.write(t.Context())
	all := c.written(t)
	if n := len(all); n < 2 || all[n-2].Sequence != 1 || all[n-1].Sequence != 2 || all[n-2].Partitions[0].Ranges[0].First != 1 || all[n-1].Partitions[0].Ranges[0].First != 2 {
		t.Errorf("got %+v", all)
	}
}

// TestALargeTallyBecomesSeveralEvents has more ranges than fit one event.
func TestALargeTallyBecomesSeveralEvents(t *testing.T) {
	c := newCounter(t)
	const records = 2*fullRanges + 5
	for i := range records {
		c.confirmed("telemetry", eventlog.Offset(3*i))
	}
	select {
	case <-c.full:
	default:
		t.Error("it was not told that the tally is full")
	}
	c.write(t.Context())
	all := c.written(t)
	records2, readings := int64(0), int64(0)
	for _, event := range all {
		for _, p := range event.Partitions {
			records2, readings = records2+p.Records, readings+p.Readings
		}
	}
	if len(all) != 3 || records2 != records || readings != 3*records {
		t.Errorf("got %d events of %d records and %d readings", len(all), records2, readings)
	}
}

// TestATopicThatIsCreatedAnewIsNotTold deletes and creates the topic within an interval.
func TestATopicThatIsCreatedAnewIsNotTold(t *testing.T) {
	c := newCounter(t)
	admin := c.cluster.Admin(t)
	c.confirmed("telemetry", 1)
	if _, err := admin.DeleteTopics(t.Context(), c.cluster.Name("telemetry")); err != nil {
		t.Fatal(err)
	}
	if err := c.log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.write(t.Context())
	c.confirmed("telemetry", 1)
	c.write(t.Context())
	all := c.written(t)
	if len(all) != 2 || all[0].Partitions[0].TopicID != "" || all[1].Partitions[0].TopicID == "" {
		t.Errorf("got %+v", all)
	}
}

// nameless is a log that cannot tell the topics' ids for a while.
type nameless struct {
	Log
	failures int
}

func (n *nameless) TopicIDs(ctx context.Context, topics ...eventlog.Topic) (map[eventlog.Topic]eventlog.TopicID, error) {
	if n.failures--; n.failures >= 0 {
		return nil, errors.New("no broker answers")
	}
	return n.Log.TopicIDs(ctx, topics...)
}

func TestNothingIsSealedWhileNoBrokerAnswers(t *testing.T) {
	c := newCounter(t)
	c.receipts.log = &nameless{c.log, 1}
	c.confirmed("telemetry", 1)
	c.write(t.Context())
	c.confirmed("telemetry", 2)
	c.write(t.Context())
	all := c.written(t)
	if len(all) != 1 || all[0].Partitions[0].Records != 2 || all[0].Partitions[0].TopicID == "" {
		t.Errorf("got %+v", all)
	}
}

// TestTheLastReceiptsAreWrittenAtTheEnd lets a gateway end long before its next receipts are due.
func TestTheLastReceiptsAreWrittenAtTheEnd(t *testing.T) {
	c := newCounter(t)
	g, err := New(Config{Listen: "127.0.0.1:0", ReceiptsEvery: time.Hour}, c.log, slog.New(slog.DiscardHandler), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	g.receipts.count([]eventlog.Result{{Position: eventlog.Position{Topic: "telemetry", Offset: 4}}}, []item{{readings: 1}})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if all := c.written(t); len(all) != 1 || all[0].Partitions[0].Ranges[0].First != 4 {
		t.Errorf("got %+v", all)
	}
}
