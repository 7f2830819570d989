package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// tree is "fieldlog up": broker, registry, ClickHouse, a gateway and a worker in one process tree.
type tree struct {
	*process
	tally                      *tally
	addr                       addresses
	front, registry, tableside *link
}

// newTree starts "fieldlog up" on a folder and returns when it is ready.
func newTree(ctx context.Context, dir, program string, t *tally) (*tree, error) {
	kafka, err := lowPort()
	if err != nil {
		return nil, err
	}
	engine, err := lowPort()
	if err != nil {
		return nil, err
	}
	registry, err := lowPort()
	if err != nil {
		return nil, err
	}
	e := &tree{tally: t, addr: addresses{Kafka: kafka, Registry: "http://" + registry, ClickHouse: "http://" + engine}}
	for _, l := range []struct {
		link   **link
		name   string
		target string
	}{{&e.front, "senders to up", ""}, {&e.registry, "all to registry", registry}, {&e.tableside, "all to clickhouse", engine}} {
		if *l.link, err = newLink(l.name, l.target, &t.cuts); err != nil {
			return nil, err
		}
	}
	e.process = &process{
		name: "up", logs: logsOf(dir),
		command: append([]string{
			program, "up", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--portal-listen", "127.0.0.1:0", "--kafka-listen", kafka,
			"--registry-listen", registry, "--clickhouse-listen", engine, "--partitions", partitions, "--drain", "5s",
			"--session-timeout", sessionTimeout.String(), "--block-age", blockAge.String(), "--no-sync",
		}, siteFlags(dir)...),
		onReady: func(a addresses) { e.front.aim(hostOf(a.Gateway)) },
	}
	if err := e.start(); err != nil {
		return nil, err
	}
	return e, e.await(ctx)
}

// lowPort returns a free address whose port the system does not hand out by itself: it is free again after its owner was
// killed, whatever connects to where meanwhile.
func lowPort() (string, error) {
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
		if err == nil {
			return addr, listener.Close()
		}
	}
	return "", errors.New("find a free port: a thousand were taken")
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func pathOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Path
}

func split(brokers string) []string { return strings.Split(brokers, ",") }

func (e *tree) at() addresses { return e.addr }

func (e *tree) through() addresses {
	return addresses{Kafka: e.addr.Kafka, Registry: "http://" + e.registry.addr(), ClickHouse: "http://" + e.tableside.addr()}
}

func (e *tree) brokerLinks() []*link { return nil } // the embedded broker tells clients its own address

func (e *tree) gateways() []*link { return []*link{e.front} }

func (e *tree) links() []*link { return []*link{e.registry, e.tableside} }

func (e *tree) query(ctx context.Context, sql string) ([]string, error) {
	return query(ctx, e.addr.ClickHouse, sql)
}

func (e *tree) heal(ctx context.Context) error {
	err := e.died()
	e.thaw()
	for _, child := range e.children() {
		_ = syscall.Kill(child, syscall.SIGCONT) // it may have ended meanwhile
	}
	return errors.Join(err, e.start(), e.await(ctx), answers(ctx, e))
}

// answers returns when ClickHouse answers.
func answers(ctx context.Context, e engines) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := e.query(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("ClickHouse does not answer: %w", err)
		}
	}
}

func (e *tree) close() error {
	err := e.terminate(60 * time.Second)
	for _, l := range append(e.links(), e.front) {
		l.close()
	}
	return err
}

// children are the ids of its child processes: the engine.
func (e *tree) children() []int {
	l := e.current()
	if l == nil || l.over() {
		return nil
	}
	return childrenOf(l.cmd.Process.Pid)
}

// faults: the whole tree, or its engine alone.
func (e *tree) faults() []fault {
	return []fault{
		{name: "kill the whole tree", weight: 4, do: func(*rand.Rand) func() {
			if e.kill() {
				e.tally.kills.Add(1)
				e.tally.orderKills.Add(1)
			}
			return func() { _ = e.start() } // what is wrong shows when it is healed
		}},
		{name: "end the whole tree in good order", weight: 1, do: func(*rand.Rand) func() {
			_ = e.terminate(30 * time.Second)
			return func() { _ = e.start() }
		}},
		{name: "stop the tree, but not its engine", weight: 2, hold: sessionTimeout + time.Second, do: func(*rand.Rand) func() {
			e.tally.stops.Add(1)
			e.tally.orderStops.Add(1)
			e.freeze()
			return e.thaw
		}},
		{name: "kill the engine", weight: 4, do: func(*rand.Rand) func() {
			e.tally.kills.Add(1)
			for _, child := range e.children() {
				_ = syscall.Kill(child, syscall.SIGKILL)
			}
			return func() {}
		}},
		{name: "stop the engine", weight: 2, do: func(*rand.Rand) func() {
			e.tally.stops.Add(1)
			frozen := e.children()
			for _, child := range frozen {
				_ = syscall.Kill(child, syscall.SIGSTOP)
			}
			return func() {
				for _, child := range frozen {
					_ = syscall.Kill(child, syscall.SIGCONT)
				}
			}
		}},
	}
}
