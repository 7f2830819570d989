package analytics

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

func (s *stand) tell(t testing.TB, events ...schemas.Event) {
	t.Helper()
	for _, e := range events {
		if _, err := s.log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

// after is a time some seconds after start.
func after(seconds int) schemas.Time {
	return schemas.TimeOf(start.Add(time.Duration(seconds) * time.Second))
}

func head(at int) schemas.Envelope {
	return schemas.Envelope{EventID: fmt.Sprint("e", at), EventTime: after(at), ReceivedTime: after(at), TraceID: fmt.Sprint("t", at)}
}

func ordered(product string) schemas.Terms {
	return schemas.Terms{Namespace: "n1", Environment: "Stage", Archtype: "Edge", Hardware: "Shared", Product: product}
}

func accepted(client, order, product string, at int) *schemas.OrderAccepted {
	return &schemas.OrderAccepted{Envelope: head(at), Client: client, OrderID: order, Version: 1, Terms: ordered(product)}
}

func told(client, order string, version int32, state schemas.ProvisioningState, at int) *schemas.ProvisioningProgressed {
	return &schemas.ProvisioningProgressed{Envelope: head(at), Client: client, OrderID: order, Version: version, State: state, Backend: "simulated", Step: 1, Steps: 2}
}

func TestFactsBecomeTrends(t *testing.T) {
	s := newStand(t)
	stop := run(t, s.service(t, Config{}))
	s.tell(t,
		&schemas.ClientRegistered{Envelope: head(0), Client: "c1"},
		accepted("c1", "ready", "Product-A", 0), accepted("c1", "changed", "Product-A", 1), accepted("c1", "gone", "Product-B", 2),
		accepted("c2", "failing", "Product-A", 3), accepted("c2", "retried", "Product-A", 4), accepted("c2", "leaving", "Product-C", 5),
		&schemas.OrderRejected{Envelope: head(6), Client: "c3", OrderID: "none", Action: schemas.ActionPlace, Reason: schemas.RejectedUnknownProduct},
		&schemas.OrderChanged{Envelope: head(7), Client: "c1", OrderID: "changed", Version: 2, Terms: ordered("Product-B")},
		&schemas.OrderCancelled{Envelope: head(8), Client: "c1", OrderID: "gone", Version: 2},
		&schemas.OrderCancelled{Envelope: head(9), Client: "c2", OrderID: "leaving", Version: 2},
		told("c1", "ready", 1, schemas.ProvisioningStarted, 10), told("c1", "ready", 1, schemas.ProvisioningFailed, 11), told("c1", "ready", 1, schemas.ProvisioningSucceeded, 12),
		told("c1", "changed", 1, schemas.ProvisioningSucceeded, 13), told("c1", "gone", 2, schemas.ProvisioningDeprovisioned, 14),
		told("c2", "failing", 1, schemas.ProvisioningFailed, 15), told("c2", "retried", 1, schemas.ProvisioningAbandoned, 16),
		&schemas.ProvisioningIntervened{Envelope: head(17), Client: "c2", OrderID: "retried", Action: schemas.InterventionRetry, By: "ops"},
		&schemas.ProvisioningIntervened{Envelope: head(18), Client: "c2", OrderID: "failing", Action: schemas.InterventionAbandon, By: "ops"},
	)
	s.eventually(t, 20, "SELECT count() FROM "+s.ch.Table("order_facts"))
	stop()
	f := func(query, want string) {
		t.Helper()
		var got string
		if err := s.ch.Scan(t.Context(), query, &got); err != nil || got != want {
			t.Errorf("%s:\ngot  %s (%v)\nwant %s", query, got, err, want)
		}
	}
	f("SELECT toString(arraySort(groupArray((order_id, status, toString(product), version)))) FROM "+s.ch.Table("orders"),
		"[('changed','accepted','Product-B',2),('failing','failing','Product-A',1),('gone','deprovisioned','Product-B',2),"+
			"('leaving','cancelled','Product-C',2),('ready','ready','Product-A',1),('retried','accepted','Product-A',1)]")
	f("SELECT toString((provision_seconds, failures, trace_id)) FROM "+s.ch.Table("orders")+" WHERE order_id = 'ready'", "(12,1,'t0')")
	f("SELECT toString(isNull(provision_seconds)) FROM "+s.ch.Table("orders")+" WHERE order_id = 'failing'", "1")
	f("SELECT toString(groupArray((client, orders, live, ready, failing, products))) FROM (SELECT * FROM "+s.ch.Table("clients")+" ORDER BY client)",
		"[('c1',3,2,1,0,['Product-A','Product-B']),('c2',3,2,0,1,['Product-A'])]")
	f("SELECT toString(groupArray((product, week, n))) FROM (SELECT toString(product) AS product, toStartOfWeek(placed, 1) AS week, count() AS n FROM "+s.ch.Table("orders")+" GROUP BY product, week ORDER BY product)",
		"[('Product-A','2026-11-23',3),('Product-B','2026-11-23',2),('Product-C','2026-11-23',1)]")
	f("SELECT toString((state, reason)) FROM "+s.ch.Table("order_facts")+" WHERE kind = 'order.rejected'", "('place','unknown_product')")
}

// TestAnIDThatIsUsedAgainIsTheLaterOrders: the registrar had forgotten the first one.
func TestAnIDThatIsUsedAgainIsTheLaterOrders(t *testing.T) {
	s := newStand(t)
	run(t, s.service(t, Config{}))
	f := func(facts uint64, want string) {
		t.Helper()
		s.eventually(t, facts, "SELECT count() FROM "+s.ch.Table("order_facts"))
		var got string
		query := "SELECT toString((product, version, status, failures, provision_seconds)) FROM " + s.ch.Table("orders")
		if err := s.ch.Scan(t.Context(), query, &got); err != nil || got != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}
	s.tell(t, accepted("c1", "o1", "Product-A", 0), told("c1", "o1", 1, schemas.ProvisioningFailed, 10), told("c1", "o1", 1, schemas.ProvisioningSucceeded, 20))
	f(3, "('Product-A',1,'ready',1,20)")
	s.tell(t, &schemas.OrderCancelled{Envelope: head(30), Client: "c1", OrderID: "o1", Version: 2}, told("c1", "o1", 2, schemas.ProvisioningDeprovisioned, 40))
	s.tell(t, accepted("c1", "o1", "Product-B", 50))
	f(6, "('Product-B',1,'accepted',0,NULL)")
	s.tell(t, told("c1", "o1", 1, schemas.ProvisioningSucceeded, 53))
	f(7, "('Product-B',1,'ready',0,3)")
}

// TestOrdersSurviveCrashes lets a process die before and after each insert of facts that span two months.
func TestOrdersSurviveCrashes(t *testing.T) {
	const facts = 30
	for at := range int64(4) {
		t.Run(fmt.Sprintf("at half insert %d", at), func(t *testing.T) {
			s := newStand(t)
			first := &mortal{tables: s.ch, at: at, dead: make(chan struct{})}
			victim, err := newService(Config{MaxRows: 20, MaxAge: time.Hour, Drain: time.Millisecond}, s.log, s.ch, first, quiet, prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			stop := run(t, victim)
			for n := range facts {
				s.tell(t, told("c1", "o1", 1, schemas.ProvisioningStep, n%2*40*24*3600+n))
			}
			<-first.dead
			stop()
			run(t, s.service(t, Config{MaxRows: 7}))
			s.eventually(t, facts, "SELECT count() FROM "+s.ch.Table("order_facts"))
			if n := s.count(t, "SELECT uniqExact(`offset`) FROM "+s.ch.Table("order_facts")); n != facts {
				t.Errorf("%d different facts", n)
			}
		})
	}
}

// TestTheWitnessOutlivesItsRecord folds a record whose memory is used again before the block is stored.
func TestTheWitnessOutlivesItsRecord(t *testing.T) {
	s := newStand(t)
	if err := s.log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.tell(t, accepted("c1", "o1", "Product-A", 7))
	fold := orderSink{newSink(Config{}.withDefaults(), s.log, s.ch, newMetrics(nil))}.Fold(eventlog.TopicClients, eventlog.TopicID{}, 0)
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicClients}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := fold.Add(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		clear(r.Value)
	}
	sealed := fold.Seal(eventlog.Block{Topic: eventlog.TopicClients}).(*orderStore)
	if w := sealed.factsWitness(sealed.months[0]); fmt.Sprint(w.args) != "[c1 o1 clients e7]" {
		t.Errorf("the witness is %q", w.args)
	}
}

func TestWhatIsNoFactIsADeadLetter(t *testing.T) {
	s := newStand(t)
	run(t, s.service(t, Config{}))
	transactor, err := s.log.Transactor(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer transactor.Close()
	s.tell(t, &schemas.ClientState{Client: "c1"})
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicClientState}) {
		if err != nil {
			t.Fatal(err)
		}
		r.Topic = eventlog.TopicClients
		if err := transactor.Run(t.Context(), func(tx *eventlog.Tx) error { tx.Repeat(r); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for r, err := range s.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicDeadLetters, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		letter := &schemas.DeadLetter{}
		if err := eventlog.NewDecoder[schemas.DeadLetter](s.log, schemas.KindDeadLetter).Decode(t.Context(), r, letter); err != nil {
			t.Fatal(err)
		}
		if letter.Reason != schemas.ReasonWrongEvent || letter.Topic != "clients" {
			t.Errorf("got %+v", letter)
		}
		break
	}
}

// TestBlocksOfOrdersTakeTheirTurn: they count among the blocks that are inserted at a time.
func TestBlocksOfOrdersTakeTheirTurn(t *testing.T) {
	s := newSink(Config{Concurrency: 1}.withDefaults(), nil, nil, newMetrics(prometheus.NewRegistry()))
	store := (&orderFold{sink: s}).Seal(eventlog.Block{})
	if err := s.enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Store(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v while another block is inserted, want it to wait until its context ended", err)
	}
	s.leave()
	for range 2 { // it gives back what it took
		if err := store.Store(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
