package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// counting is a Processor that answers each order with a fact, and counts a client's orders in its state.
type counting struct {
	log    *eventlog.Log
	states map[string]*schemas.ClientState
	next   map[eventlog.Topic]eventlog.Offset
	at     func(step string) error // called at each step; may block
}

func (c *counting) Restore(ctx context.Context, r *eventlog.Record) error {
	s := &schemas.ClientState{}
	if err := eventlog.NewDecoder[schemas.ClientState](c.log, schemas.KindClientState).Decode(ctx, r, s); err != nil {
		return err
	}
	c.states[s.Client] = s
	c.next[eventlog.TopicOrders] = max(c.next[eventlog.TopicOrders], eventlog.Offset(s.OrdersNext))
	return nil
}

func (c *counting) Next() map[eventlog.Topic]eventlog.Offset {
	_ = c.at("restored") // the test's faults at this step only block
	return c.next
}

func (c *counting) Process(ctx context.Context, tx *eventlog.Tx, inputs []*eventlog.Record) error {
	if err := c.at("read"); err != nil {
		return err
	}
	decoder := eventlog.NewDecoder[schemas.OrderPlaced](c.log, schemas.KindOrderPlaced)
	for _, r := range inputs {
		order := &schemas.OrderPlaced{}
		if err := decoder.Decode(ctx, r, order); err != nil {
			return err
		}
		s := c.states[order.Client]
		if s == nil {
			s = &schemas.ClientState{Client: order.Client}
			c.states[order.Client] = s
		}
		s.Version++
		s.EventID, s.OrdersNext = fmt.Sprint(order.Client, s.Version), int64(r.Offset)+1
		fact := &schemas.ClientRegistered{Envelope: order.Envelope, Client: order.Client, Decided: schemas.Decided{Cause: order.EventID, CauseOffset: int64(r.Offset)}}
		if err := errors.Join(tx.AppendTo(r.Partition, fact), tx.AppendTo(r.Partition, s)); err != nil {
			return err
		}
	}
	return c.at("appended")
}

func (c *counting) Committed() {}

// placeOrders appends orders of several clients.
func placeOrders(t *testing.T, log *eventlog.Log, from, n int) {
	t.Helper()
	batch := log.NewBatch()
	defer batch.Release()
	for i := from; i < from+n; i++ {
		id := fmt.Sprintf("order-%d", i)
		if err := batch.Add(&schemas.OrderPlaced{Envelope: schemas.Envelope{EventID: id}, OrderID: id, Client: fmt.Sprintf("c%d", i%7)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range batch.Commit(t.Context()) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// counts starts a process and returns what stops it.
func counts(t *testing.T, log *eventlog.Log, group eventlog.Group, at func(string) error) (stop func()) {
	t.Helper()
	p, err := log.Process(eventlog.ProcessOptions{
		Group: group, Owner: "test", Inputs: []eventlog.Topic{eventlog.TopicOrders}, State: eventlog.TopicClientState, MaxRecords: 5,
		Open: func(eventlog.Partition) eventlog.Processor {
			return &counting{log: log, states: map[string]*schemas.ClientState{}, next: map[eventlog.Topic]eventlog.Offset{}, at: at}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func smoothly(string) error { return nil }

// answered waits until n orders are answered, and checks that each is answered once, in order, and counted once.
func answered(t *testing.T, log *eventlog.Log, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	decoder := eventlog.NewDecoder[schemas.ClientRegistered](log, schemas.KindClientRegistered)
	times, last := map[string]int{}, map[string]int64{}
	for r, err := range log.Read(ctx, eventlog.ReadOptions{Topic: eventlog.TopicClients, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		fact := &schemas.ClientRegistered{}
		if err := decoder.Decode(ctx, r, fact); err != nil {
			t.Fatal(err)
		}
		times[fact.Cause]++
		if before, some := last[fact.Client]; some && fact.CauseOffset <= before {
			t.Errorf("%s: the order at %d is answered after the one at %d", fact.Client, fact.CauseOffset, before)
		}
		last[fact.Client] = fact.CauseOffset
		if len(times) == n {
			break
		}
	}
	if len(times) != n {
		t.Fatalf("%d of %d orders are answered in time", len(times), n)
	}
	once(t, log, n)
}

// settled waits until no transaction is open on a topic: one that is committed is seen partition by partition.
func settled(t *testing.T, log *eventlog.Log, topic eventlog.Topic) {
	t.Helper()
	for {
		ends, err := log.Ends(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		decided, err := log.Decided(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if maps.Equal(ends, decided) {
			return
		}
	}
}

// once checks the whole log: as many facts as orders, and states that count them.
func once(t *testing.T, log *eventlog.Log, n int) {
	t.Helper()
	settled(t, log, eventlog.TopicClients)
	settled(t, log, eventlog.TopicClientState)
	facts := ids(t, log, eventlog.TopicClients)
	for i := range facts {
		if i > 0 && facts[i] == facts[i-1] {
			t.Errorf("%s is answered twice", facts[i])
		}
	}
	if len(facts) != n {
		t.Errorf("%d answers to %d orders", len(facts), n)
	}
	decoder := eventlog.NewDecoder[schemas.ClientState](log, schemas.KindClientState)
	latest := map[string]int32{}
	for r, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicClientState}) {
		if err != nil {
			t.Fatal(err)
		}
		s := &schemas.ClientState{}
		if err := decoder.Decode(t.Context(), r, s); err != nil {
			t.Fatal(err)
		}
		latest[s.Client] = s.Version
	}
	total := int32(0)
	for _, version := range latest {
		total += version
	}
	if int(total) != n {
		t.Errorf("the states count %d orders, want %d", total, n)
	}
}

func TestEveryInputIsProcessedOnceWhileMembersComeAndGo(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	stops := []func(){counts(t, log, "test", smoothly)}
	for round := range 5 {
		placeOrders(t, log, round*60, 60)
		if round%2 == 0 {
			stops = append(stops, counts(t, log, "test", smoothly))
		} else {
			stops[0]()
			stops = stops[1:]
		}
		answered(t, log, (round+1)*60)
	}
}

// TestWhoeverLooksSeesHowFarAGroupIs: the state alone would not tell. Its last input may have changed nothing, and behind the last of a
// transaction lies its marker.
func TestWhoeverLooksSeesHowFarAGroupIs(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	inputs := []eventlog.Topic{eventlog.TopicOrders, eventlog.TopicProvisioning}
	run := func() (stop func()) {
		p, err := log.Process(eventlog.ProcessOptions{
			Group: "test", Inputs: inputs, State: eventlog.TopicClientState, Open: func(eventlog.Partition) eventlog.Processor { return idle{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx) }()
		return func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	behind := func() (records int64) {
		for _, topic := range inputs {
			ends, err := log.Ends(t.Context(), topic)
			if err != nil {
				t.Fatal(err)
			}
			progress, err := log.Progress(t.Context(), "test", topic)
			if err != nil {
				t.Fatal(err)
			}
			for p, r := range ends {
				records += int64(r.Next - progress[p].Next)
			}
		}
		return records
	}
	for round := range 2 {
		placeOrders(t, log, round*20, 20)
		transactor, err := log.Transactor(t.Context(), "told")
		if err != nil {
			t.Fatal(err)
		}
		err = transactor.Run(t.Context(), func(tx *eventlog.Tx) error {
			return tx.AppendTo(3, &schemas.ProvisioningProgressed{OrderID: "o", Client: "c"})
		})
		transactor.Close()
		if err != nil {
			t.Fatal(err)
		}
		if behind() == 0 {
			t.Error("nothing is behind before anything runs")
		}
		stop := run()
		for deadline := time.Now().Add(time.Minute); behind() > 0; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it seems to be %d behind", behind())
			}
		}
		stop()
		if behind() != 0 {
			t.Errorf("it seems to be %d behind after it stopped", behind())
		}
	}
}

// idle is a Processor from whose inputs nothing follows.
type idle struct{}

func (idle) Restore(context.Context, *eventlog.Record) error                 { return nil }
func (idle) Next() map[eventlog.Topic]eventlog.Offset                        { return nil }
func (idle) Process(context.Context, *eventlog.Tx, []*eventlog.Record) error { return nil }
func (idle) Committed()                                                      {}

// TestAnOwnerThatIsOvertakenAtAnyStepDecidesNothing holds an owner still at a step, as if its process were stopped or dead, lets another one
// do the work, and wakes the first one up.
func TestAnOwnerThatIsOvertakenAtAnyStepDecidesNothing(t *testing.T) {
	f := func(step string, visit int32) {
		t.Run(fmt.Sprint(step, visit), func(t *testing.T) {
			cluster := eventlogtest.Start(t)
			first, registry := openMeasured(t, cluster)
			second := cluster.Open(t, cluster.Config())
			var visits atomic.Int32
			reached, wake := make(chan struct{}), make(chan struct{})
			stop := counts(t, first, "one", func(at string) error {
				if at != step {
					return nil
				}
				if n := visits.Add(1); n == visit {
					close(reached)
				} else if n < visit {
					return nil
				}
				<-wake // from that visit on every partition is held
				return nil
			})
			placeOrders(t, second, 0, 20)
			placed := 20
			for held := false; !held; placed++ {
				placeOrders(t, second, placed, 1) // one by one, so that the owner passes its steps again
				select {
				case <-reached:
					held = true
				case <-time.After(20 * time.Millisecond):
				}
			}
			counts(t, second, "two", smoothly)
			answered(t, second, placed)
			close(wake)
			for deadline := time.Now().Add(30 * time.Second); failures(t, registry) == 0; {
				if time.Now().After(deadline) {
					t.Fatal("the first owner was not fenced")
				}
				placeOrders(t, second, placed, 1)
				placed++
				answered(t, second, placed)
			}
			stop()
			answered(t, second, placed)
		})
	}
	f("restored", 1)
	f("read", 1)
	f("read", 4)
	f("appended", 1)
	f("appended", 3)
}

// openMeasured opens a log whose metrics can be read.
func openMeasured(t *testing.T, cluster *eventlogtest.Cluster) (*eventlog.Log, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewRegistry()
	log, err := eventlog.New(cluster.Config(), slog.New(slog.DiscardHandler), registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return log, registry
}

// failures counts the transactions that failed.
func failures(t *testing.T, registry *prometheus.Registry) (failed float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "fieldlog_log_transactions_total" {
			for _, m := range f.GetMetric() {
				for _, label := range m.GetLabel() {
					if label.GetValue() == "failed" {
						failed += m.GetCounter().GetValue()
					}
				}
			}
		}
	}
	return failed
}

func TestAFailureStartsThePartitionOver(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log, registry := openMeasured(t, cluster)
	var mu sync.Mutex
	failed := map[string]int{}
	stop := counts(t, log, "test", func(step string) error {
		mu.Lock()
		defer mu.Unlock()
		if failed[step]++; step != "restored" && failed[step] <= 3 {
			return errors.New("not now")
		}
		return nil
	})
	placeOrders(t, log, 0, 50)
	answered(t, log, 50)
	stop()
	got := sums(t, registry)
	if got["processed_records_total"] != 50 || got["transactions_total"] < 16 || failures(t, registry) < 6 || got["lag_records"] != 0 {
		t.Errorf("got %v inputs, %v transactions, %v failures, a lag of %v", got["processed_records_total"], got["transactions_total"], failures(t, registry), got["lag_records"])
	}
}

// TestATopicThatWasCreatedAnewIsNotSkipped leaves a state that is ahead of its input.
func TestATopicThatWasCreatedAnewIsNotSkipped(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log, registry := openMeasured(t, cluster)
	if _, err := log.Append(t.Context(), &schemas.ClientState{Client: "c1", OrdersNext: 1000}); err != nil {
		t.Fatal(err)
	}
	counts(t, log, "test", smoothly)
	for deadline := time.Now().Add(30 * time.Second); failures(t, registry) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not fail")
		}
	}
	if facts := ids(t, log, eventlog.TopicClients); len(facts) != 0 {
		t.Errorf("got %q", facts)
	}
}
