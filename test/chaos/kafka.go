package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/fieldlog/fieldlog/internal/embedded/engine"
	realengines "github.com/fieldlog/fieldlog/test/engines"
)

// kafka is three Apache Kafka brokers, a schema registry and a ClickHouse engine, every one a process of its own. Clients
// reach each broker through a link.
type kafka struct {
	tally    *tally
	cluster  *realengines.Cluster
	brokers  []*link // to each, from clients
	peers    []*link // to each, from the other brokers
	registry *link
	tables   *link
	engine   *engine.Engine
}

// newKafka starts the engines on a folder and returns when they answer.
func newKafka(ctx context.Context, dir, program string, t *tally) (*kafka, error) {
	e := &kafka{tally: t}
	var failed error
	through := func(links *[]*link, from string) func(int, string) string {
		return func(broker int, listens string) string {
			l, err := newLink(fmt.Sprintf("%s to broker-%d", from, broker), listens, &t.cuts)
			if err != nil {
				failed = errors.Join(failed, err)
				return listens
			}
			*links = append(*links, l)
			return l.addr()
		}
	}
	var err error
	if e.cluster, err = realengines.Start(ctx, realengines.Options{
		Dir:       filepath.Join(dir, "engines"),
		Advertise: through(&e.brokers, "all"), AdvertisePeer: through(&e.peers, "other brokers"),
	}); err != nil {
		return e, errors.Join(failed, err)
	}
	addr, err := lowPort()
	if err != nil {
		return e, err
	}
	e.engine = engine.New(engine.Config{
		Command: []string{program, "engine", "serve", "--log-level", "warn", "--data", filepath.Join(dir, "clickhouse")}, Addr: addr,
	}, slog.New(slog.DiscardHandler))
	if err := e.engine.Start(ctx); err != nil {
		return e, err
	}
	if e.registry, err = newLink("all to registry", hostOf(e.cluster.Registry()), &t.cuts); err != nil {
		return e, err
	}
	e.tables, err = newLink("all to clickhouse", addr, &t.cuts)
	return e, errors.Join(failed, err)
}

func (e *kafka) at() addresses {
	return addresses{Kafka: strings.Join(e.cluster.Brokers(), ","), Registry: e.cluster.Registry(), ClickHouse: e.engine.URL()}
}

func (e *kafka) through() addresses {
	at := e.at()
	at.Registry = "http://" + e.registry.addr() + pathOf(at.Registry)
	at.ClickHouse = "http://" + e.tables.addr()
	return at
}

func (e *kafka) brokerLinks() []*link { return e.brokers }

func (e *kafka) gateways() []*link { return nil }

func (e *kafka) links() []*link {
	return append(slices.Concat(e.brokers, e.peers), e.registry, e.tables)
}

func (e *kafka) query(ctx context.Context, sql string) ([]string, error) {
	return query(ctx, e.engine.URL(), sql)
}

func (e *kafka) heal(ctx context.Context) error {
	var failures []error
	for _, p := range e.cluster.Processes() {
		_ = p.Resume() // it may not run
		if !p.Running() {
			failures = append(failures, p.Start())
		}
	}
	e.signal(syscall.SIGCONT)
	failures = append(failures, e.cluster.Ready(ctx), answers(ctx, e))
	return errors.Join(failures...)
}

func (e *kafka) close() error {
	var failures []error
	if e.engine != nil {
		failures = append(failures, e.engine.Close())
	}
	if e.cluster != nil {
		failures = append(failures, e.cluster.Close())
	}
	for _, l := range append(slices.Concat(e.brokers, e.peers), e.registry, e.tables) {
		if l != nil {
			l.close()
		}
	}
	return errors.Join(failures...)
}

func (e *kafka) signal(s syscall.Signal) {
	if pid := e.engine.PID(); pid > 0 {
		_ = syscall.Kill(pid, s) // it may have ended meanwhile
	}
}

// faults: a broker, two brokers, the registry, ClickHouse.
func (e *kafka) faults() []fault {
	all := make([]fault, 0, 4+2*len(e.brokers))
	all = append(all, []fault{
		{name: "kill two brokers", weight: 4, do: func(rng *rand.Rand) func() {
			spared := rng.IntN(len(e.brokers))
			var dead []*realengines.Process
			for n := range e.brokers {
				if n != spared {
					dead = append(dead, e.cluster.Broker(n))
				}
			}
			return e.slay(dead...)
		}},
		{name: "kill the registry", weight: 3, do: func(*rand.Rand) func() { return e.slay(e.cluster.RegistryProcess()) }},
		{name: "kill the engine", weight: 6, do: func(*rand.Rand) func() {
			e.tally.kills.Add(1)
			e.signal(syscall.SIGKILL) // it is started again by its supervisor
			return func() {}
		}},
		{name: "stop the engine", weight: 3, do: func(*rand.Rand) func() {
			e.tally.stops.Add(1)
			e.signal(syscall.SIGSTOP)
			return func() { e.signal(syscall.SIGCONT) }
		}},
	}...)
	for n := range e.brokers {
		broker := e.cluster.Broker(n)
		all = append(all,
			fault{name: fmt.Sprintf("kill broker-%d", n), weight: 4, do: func(*rand.Rand) func() { return e.slay(broker) }},
			fault{name: fmt.Sprintf("stop broker-%d", n), weight: 2, hold: 2 * time.Second, do: func(*rand.Rand) func() {
				e.tally.stops.Add(1)
				_ = broker.Pause() // it may not run
				return func() { _ = broker.Resume() }
			}})
	}
	return all
}

// slay kills processes at the same moment; undone, they start again.
func (e *kafka) slay(processes ...*realengines.Process) func() {
	var killed atomic.Int64
	for _, p := range processes {
		if p.Running() && p.Kill() == nil {
			killed.Add(1)
		}
	}
	e.tally.kills.Add(killed.Load())
	return func() {
		for _, p := range processes {
			if !p.Running() {
				_ = p.Start() // what is wrong shows when it is healed
			}
		}
	}
}
