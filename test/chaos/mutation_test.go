package chaos

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var withMutants = flag.Bool("mutants", false, "show that the checks find broken programs")

// act is a small play on an installation: load, and one fault at just the wrong moment.
type act func(t *testing.T, i *installation, l *load)

// under runs load while f goes on, and until it has been answered once more after that.
func under(t *testing.T, l *load, f func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), healTime)
	defer cancel()
	loaded, stop := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { l.run(loaded) })
	f(ctx)
	stop()
	running.Wait()
}

// answers waits for so many answers more to the load, and tells whether they came before ctx ended.
func (l *load) answers(ctx context.Context, n int) bool {
	want := l.receipts.count() + n*reports
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for l.receipts.count() < want {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// await is answers where they must come.
func (l *load) await(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	if !l.answers(ctx, n) {
		t.Fatal("the load is not answered")
	}
}

// killBetweenAnnouncementAndInsert kills a worker whose inserts fail.
func killBetweenAnnouncementAndInsert(t *testing.T, i *installation, l *load) {
	w := i.workers[0]
	under(t, l, func(ctx context.Context) {
		l.await(ctx, t, 20)
		w.clickhouse.set(weather{refuse: true})
		if err := w.says(ctx, "store a block"); err != nil {
			t.Error(err)
		}
		w.kill()
		w.clickhouse.set(weather{})
	})
}

// loseAnswers lets inserts of readings be done and not be known to be.
func loseAnswers(t *testing.T, i *installation, l *load) {
	w := i.workers[0]
	under(t, l, func(ctx context.Context) {
		l.await(ctx, t, 20)
		w.clickhouse.set(weather{deaf: true, about: "readings_g1"})
		if err := w.says(ctx, `rows into \"readings_g1\"`); err != nil {
			t.Error(err)
		}
		w.clickhouse.set(weather{})
	})
}

// blocksOfTwoMonths does nothing: all load is of two months.
func blocksOfTwoMonths(t *testing.T, _ *installation, l *load) {
	under(t, l, func(ctx context.Context) { l.await(ctx, t, 100) })
}

// killBetweenInsertAndConfirmation kills a worker that has inserted and does not know, while the log goes on: the next owner
// could cut a larger block.
func killBetweenInsertAndConfirmation(t *testing.T, i *installation, l *load) {
	w := i.workers[0]
	under(t, l, func(ctx context.Context) {
		l.await(ctx, t, 20)
		w.clickhouse.set(weather{deaf: true})
		if err := w.says(ctx, "store a block"); err != nil {
			t.Error(err)
		}
		l.await(ctx, t, 100)
		w.kill()
		w.clickhouse.set(weather{})
	})
}

// killBeforeTheLogHasIt stops the broker, and kills the gateway once it has answered, or had the time to.
func killBeforeTheLogHasIt(t *testing.T, i *installation, l *load) {
	e, ok := i.engines.(*tree)
	if !ok {
		t.Fatal("this act is for a tree")
	}
	door := i.doors[0]
	alone := *l
	alone.gateways, alone.blind = []string{"http://" + door.front.addr()}, true
	under(t, &alone, func(ctx context.Context) {
		alone.await(ctx, t, 20)
		e.freeze()
		silence, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		alone.answers(silence, 20) // the right program stays silent
		door.kill()
		e.thaw()
	})
}

// shop returns a client's shopping, and what places and changes one more order of it.
func shop(ctx context.Context, t *testing.T, i *installation, l *load) (s *shopping, order func()) {
	t.Helper()
	s = &shopping{gateways: i.targets(), name: l.name, seed: l.seed}
	b := &buyer{shopping: s, client: l.name, rng: rand.New(rand.NewPCG(l.seed, 0)), http: http.DefaultClient}
	return s, func() {
		id := fmt.Sprintf("%s-o%d", b.client, b.asked)
		b.asked++
		for _, method := range []string{http.MethodPost, http.MethodPut} { // a change would count twice, a placement is known by its order
			for !b.send(method, id, id+"-"+strings.ToLower(method)) {
				if !until(ctx, time.Now().Add(100*time.Millisecond)) {
					t.Fatal("an order is not answered")
				}
			}
		}
	}
}

// placeOrders does nothing but that.
func placeOrders(t *testing.T, i *installation, l *load) {
	ctx, cancel := context.WithTimeout(t.Context(), healTime)
	defer cancel()
	s, order := shop(ctx, t, i, l)
	for range 5 {
		order()
	}
	i.books.receipts = append(i.books.receipts, s.receipts...)
}

// killBetweenOrders kills the whole tree once some orders have come true, and lets the same client order more: what was decided
// and done is before that in the log.
func killBetweenOrders(t *testing.T, i *installation, l *load) {
	e, ok := i.engines.(*tree)
	if !ok {
		t.Fatal("this act is for a tree")
	}
	ctx, cancel := context.WithTimeout(t.Context(), healTime)
	defer cancel()
	s, order := shop(ctx, t, i, l)
	for range 5 {
		order()
	}
	if violations, err := i.books.check(ctx, s.receipts); err != nil || len(violations) > 0 {
		t.Fatalf("before the kill: %v %v", violations, err)
	}
	s.receipts = nil
	e.kill()
	if err := i.heal(ctx); err != nil {
		t.Fatal(err)
	}
	order()
	i.books.receipts = append(i.books.receipts, s.receipts...)
}

// perform plays an act and checks.
func (m *mutant) perform(t *testing.T, i *installation, number int) []violation {
	t.Helper()
	clients := fmt.Sprintf("act%d", number)
	m.act(t, i, &load{gateways: i.targets(), name: clients, seed: uint64(number), receipts: i.checker.receipts})
	r := &report{}
	i.recover(t.Context(), r)
	violations, err := i.checker.check(t.Context(), false, clients+"-", func(what string) { t.Log(what) })
	if err != nil {
		t.Fatal(err)
	}
	orders, err := i.books.check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	violations = append(violations, orders...)
	audit, err := i.audit(t.Context())
	if err != nil {
		t.Error(err)
	}
	return append(append(r.violations, violations...), audit...)
}

// TestTheProgramPassesEveryAct plays what brings the mutants down with the program as it is.
func TestTheProgramPassesEveryAct(t *testing.T) {
	if !*withMutants {
		t.Skip("say -mutants, or make chaos")
	}
	var n tally
	i := plant(t, workplace(t), binary(t), &n)
	for number, m := range mutants {
		for _, v := range m.perform(t, i, number) {
			t.Errorf("%s: %v", m.name, v)
		}
	}
}

// TestMutantsAreCaught plays the same with the mutants: each must be found out, in the way its name says.
func TestMutantsAreCaught(t *testing.T) {
	if !*withMutants {
		t.Skip("say -mutants, or make chaos")
	}
	for number, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			var n tally
			i := plant(t, workplace(t), m.build(t), &n)
			i.checker.patience, i.checker.stalled = 15*time.Second, func() {} // it will not come
			i.books.patience = 15 * time.Second
			found := m.perform(t, i, number)
			has := func(k ...kind) bool {
				return slices.ContainsFunc(found, func(v violation) bool { return slices.Contains(k, v.kind) })
			}
			if !has(m.caught...) {
				t.Fatalf("expected one of %v, found %v", m.caught, found)
			}
			if has(audited) != m.audited {
				t.Errorf("the program's own audit found a difference: %v, expected %v", has(audited), m.audited)
			}
			t.Logf("%d violations, such as %v", len(found), found[0])
		})
	}
}
