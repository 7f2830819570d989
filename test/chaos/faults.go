package chaos

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// fault is something that can be done to an installation, and undone.
type fault struct {
	name   string
	weight int
	// hold is the least time between doing and undoing.
	hold time.Duration
	// do begins it and returns what ends it. Both may be called while other faults are at work, on the same party too.
	do func(rng *rand.Rand) (undo func())
}

// catalogue returns everything that can be done to an installation.
func (i *installation) catalogue() []fault {
	all := i.engines.faults()
	for _, g := range i.doors {
		all = append(all, i.kill(g.process, 2), i.stop(g.process, 1))
	}
	for _, w := range i.workers {
		all = append(all, i.kill(w.process, 3), i.stop(w.process, 3), leave(w.process))
	}
	for _, p := range i.offices {
		all = append(all, counted(i.kill(p, 4), &i.tally.orderKills), counted(i.stop(p, 3).atLeast(shareTimeout+time.Second), &i.tally.orderStops), leave(p))
	}
	all = append(all, i.join())
	for _, p := range i.processes() {
		all = append(all, i.apart(p)...)
	}
	for n := range all {
		all[n].weight *= 2 // there are many links
	}
	for _, l := range i.links() {
		all = append(all, onLink(l)...)
	}
	return all
}

// atLeast returns the fault, held so long.
func (f fault) atLeast(hold time.Duration) fault {
	f.hold = hold
	return f
}

// counted counts a fault once more.
func counted(f fault, n *atomic.Int64) fault {
	do := f.do
	f.do = func(rng *rand.Rand) func() {
		n.Add(1)
		return do(rng)
	}
	return f
}

func (i *installation) kill(p *process, weight int) fault {
	return fault{name: "kill " + p.name, weight: 2 * weight, do: func(*rand.Rand) func() {
		if p.kill() {
			i.tally.kills.Add(1)
		}
		return func() { _ = p.start() } // what is wrong shows when it is healed
	}}
}

// stop stops a process for longer than the session timeout: its partitions are given to others, and it wakes up as a zombie.
func (i *installation) stop(p *process, weight int) fault {
	return fault{name: "stop " + p.name, weight: 2 * weight, hold: sessionTimeout + time.Second, do: func(*rand.Rand) func() {
		i.tally.stops.Add(1)
		p.freeze()
		return p.thaw
	}}
}

// leave lets a worker leave in good order and come back.
func leave(p *process) fault {
	return fault{name: "end " + p.name + " in good order", weight: 2, do: func(*rand.Rand) func() {
		_ = p.terminate(20 * time.Second)
		return func() { _ = p.start() }
	}}
}

// join adds a worker, and takes it away again with or without warning.
func (i *installation) join() fault {
	return fault{name: "add a worker", weight: 6, do: func(rng *rand.Rand) func() {
		hard := rng.IntN(2) == 0
		w, err := i.newWorker(fmt.Sprintf("guest-%d", rng.Uint32()))
		if err != nil {
			return func() {}
		}
		_ = w.start()
		return func() {
			if hard && w.kill() {
				i.tally.kills.Add(1)
			}
			_ = w.terminate(20 * time.Second)
			w.registry.close()
			w.clickhouse.close()
		}
	}}
}

// apart returns what can be done between one process and all the brokers, if they are behind links.
func (i *installation) apart(p *process) []fault {
	brokers := i.engines.brokerLinks()
	if len(brokers) == 0 {
		return nil
	}
	f := func(what string, hold time.Duration, w func(rng *rand.Rand) weather) fault {
		return fault{name: what + ": " + p.name + " to every broker", weight: 2, hold: hold, do: func(rng *rand.Rand) func() {
			now := w(rng)
			for _, l := range brokers {
				l.setFor(p, now)
			}
			return func() {
				for _, l := range brokers {
					l.setFor(p, weather{})
				}
			}
		}}
	}
	return []fault{
		// Long enough for the others to take over, while the process runs on and reaches everything else.
		f("drop everything", sessionTimeout+time.Second, func(*rand.Rand) weather { return weather{hold: true} }),
		f("lose answers", 0, func(*rand.Rand) weather { return weather{deaf: true} }),
		f("delay", 0, func(rng *rand.Rand) weather {
			return weather{delay: time.Duration(1+rng.IntN(150)) * time.Millisecond}
		}),
	}
}

// onLink returns what can be done to a link.
func onLink(l *link) []fault {
	f := func(what string, w func(rng *rand.Rand) weather) fault {
		return fault{name: what + ": " + l.name, weight: 1, do: func(rng *rand.Rand) func() {
			l.set(w(rng))
			return func() { l.set(weather{}) }
		}}
	}
	return []fault{
		f("delay", func(rng *rand.Rand) weather {
			return weather{delay: time.Duration(1+rng.IntN(150)) * time.Millisecond}
		}),
		f("drop everything", func(*rand.Rand) weather { return weather{hold: true} }),
		f("refuse connections", func(*rand.Rand) weather { return weather{refuse: true} }),
		f("lose answers", func(*rand.Rand) weather { return weather{deaf: true} }),
		f("cut in the middle of a request", func(rng *rand.Rand) weather { return weather{cutAfter: 1 + rng.IntN(8000)} }),
		{name: "cut every connection: " + l.name, weight: 1, do: func(*rand.Rand) func() {
			l.cut()
			return l.cut
		}},
	}
}

// planned is a fault with its moments.
type planned struct {
	fault
	at, lasts time.Duration // since the round began; since at
	rng       *rand.Rand
}

// plan draws the faults of a round.
func plan(rng *rand.Rand, catalogue []fault, length time.Duration) []planned {
	total := 0
	for _, f := range catalogue {
		total += f.weight
	}
	var plans []planned
	for range 2 + rng.IntN(4) {
		n := rng.IntN(total)
		for _, f := range catalogue {
			if n -= f.weight; n < 0 {
				lasts := f.hold + time.Duration(rng.Int64N(int64(2*time.Second)))
				at := time.Duration(rng.Int64N(int64(max(length-lasts, time.Second))))
				plans = append(plans, planned{fault: f, at: at, lasts: lasts, rng: rand.New(rand.NewPCG(rng.Uint64(), rng.Uint64()))})
				break
			}
		}
	}
	return plans
}
