package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// roundLength is how long reports come in, and faults happen, in a round.
const roundLength = 5 * time.Second

// healTime bounds the wait for everything to be ready again. It is generous: the machine may be slow.
const healTime = 90 * time.Second

// report is what became of a round.
type report struct {
	seed       uint64
	number     int
	story      []string // what was done, with times since the round began
	receipts   int
	took       time.Duration
	violations []violation
}

// String tells the whole story.
func (r *report) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "round %d of seed %d: %d reports acknowledged, %s", r.number, r.seed, r.receipts, r.took.Round(time.Millisecond))
	for _, line := range r.story {
		text.WriteString("\n    " + line)
	}
	return text.String()
}

// shown is how many violations are told; a broken mechanism makes thousands.
const shown = 20

// listed tells violations, a line each.
func listed(all []violation) string {
	var text strings.Builder
	for _, v := range all[:min(shown, len(all))] {
		text.WriteString("VIOLATED " + v.String() + "\n")
	}
	if more := len(all) - shown; more > 0 {
		fmt.Fprintf(&text, "and %d violations more\n", more)
	}
	return text.String()
}

// round breaks the installation once, heals it and checks. What it does follows from seed and number.
func (i *installation) round(ctx context.Context, seed uint64, number int) (*report, error) {
	begin := time.Now()
	rng := rand.New(rand.NewPCG(seed, uint64(number)))
	r := &report{seed: seed, number: number}
	before := i.checker.receipts.count()
	clients := fmt.Sprintf("s%d-r%d", seed, number)
	loaded, stop := context.WithCancel(ctx)
	defer stop()
	l := &load{gateways: i.targets(), name: clients, seed: rng.Uint64(), receipts: i.checker.receipts}
	var posting, faults sync.WaitGroup
	posting.Go(func() { l.run(loaded) })
	s := &shopping{gateways: i.targets(), name: clients, seed: rng.Uint64()}
	posting.Go(func() { s.run(loaded) })
	var mu sync.Mutex
	tell := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		r.story = append(r.story, fmt.Sprintf("%6.3f s  %s", time.Since(begin).Seconds(), what))
	}
	for _, p := range plan(rng, i.catalogue(), roundLength) {
		faults.Go(func() { p.happen(ctx, begin, tell) })
	}
	until(ctx, begin.Add(roundLength))
	faults.Wait()
	if !i.answered(ctx, before) {
		r.violations = append(r.violations, violation{died, "no gateway acknowledged anything, long after every fault was undone"})
	}
	stop()
	posting.Wait()
	tell("load is over")
	i.recover(ctx, r)
	tell("everything is healed")
	violations, err := i.checker.check(ctx, false, clients+"-", tell)
	orders, unread := i.books.check(ctx, s.receipts)
	tell(fmt.Sprintf("%d requests about orders were acknowledged", len(s.receipts)))
	audit, unable := i.audit(ctx)
	r.violations = append(append(append(r.violations, violations...), orders...), audit...)
	err = errors.Join(err, unread, unable)
	r.receipts, r.took = i.checker.receipts.count()-before, time.Since(begin)
	return r, err
}

// answered returns whether a report of the round was acknowledged, after a wait for the first if there was none yet.
func (i *installation) answered(ctx context.Context, before int) bool {
	ctx, cancel := context.WithTimeout(ctx, healTime)
	defer cancel()
	for i.checker.receipts.count() == before {
		if !until(ctx, time.Now().Add(50*time.Millisecond)) {
			return false
		}
	}
	return true
}

// happen does and undoes a fault at its moments.
func (p *planned) happen(ctx context.Context, begin time.Time, tell func(string)) {
	if !until(ctx, begin.Add(p.at)) {
		return
	}
	tell(p.name)
	undo := p.do(p.rng)
	until(ctx, begin.Add(p.at+p.lasts))
	undo()
	tell("undone: " + p.name)
}

func until(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// recover heals everything. What does not come back is a violation.
func (i *installation) recover(ctx context.Context, r *report) {
	bound, cancel := context.WithTimeout(ctx, healTime)
	defer cancel()
	if err := i.heal(bound); err != nil {
		r.violations = append(r.violations, violation{died, err.Error()})
	}
}
