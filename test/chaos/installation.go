package chaos

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/provisioner/simulated"
)

// engines are the brokers, the registry and ClickHouse of an installation.
type engines interface {
	// at returns where they are, past every proxy, for the checker.
	at() addresses
	// through returns where the processes of the installation find them.
	through() addresses
	// gateways returns the URLs of gateways that belong to the engines' own process tree.
	gateways() []*link
	// links returns the links to what the processes share.
	links() []*link
	// brokerLinks returns the links to the brokers, none if clients cannot be led through any.
	brokerLinks() []*link
	// faults returns what can be done to them.
	faults() []fault
	// heal makes all of them run and returns when they answer.
	heal(ctx context.Context) error
	// query asks ClickHouse.
	query(ctx context.Context, sql string) ([]string, error)
	// close ends them.
	close() error
}

// tally counts what was done to installations.
type tally struct{ kills, stops, cuts, orderKills, orderStops atomic.Int64 }

// partitions of telemetry: a few for each worker.
const partitions = "6"

// sessionTimeout is how long a worker that is not heard of keeps its partitions, in every installation.
const sessionTimeout = 3 * time.Second

// shareTimeout is how long a registrar or provisioner that is not heard of keeps its partitions. It is the program's own.
const shareTimeout = 10 * time.Second

// installation is everything that is broken and checked: engines, and gateways and workers on them.
type installation struct {
	dir     string
	program string // path of the binary
	tally   *tally
	engines engines
	doors   []*gateway
	workers []*worker
	offices []*process    // registrars and provisioners
	log     *eventlog.Log // the checker's
	checker *checker
	books   *books
}

// gateway is a process that takes reports, behind a link.
type gateway struct {
	*process
	front    *link // from senders
	registry *link
}

// worker is a process that stores reports.
type worker struct {
	*process
	registry, clickhouse *link
}

// assemble starts gateways and workers on engines that answer.
func assemble(ctx context.Context, dir, program string, t *tally, e engines, gateways, workers int) (*installation, error) {
	i := &installation{dir: dir, program: program, tally: t, engines: e}
	if err := letSitesCount(sitesOf(dir)); err != nil {
		return i, err
	}
	for range gateways {
		if err := i.addGateway(); err != nil {
			return i, err
		}
	}
	for n := range workers {
		w, err := i.newWorker(fmt.Sprintf("worker-%d", n))
		if err != nil {
			return i, err
		}
		i.workers = append(i.workers, w)
		if err := w.start(); err != nil {
			return i, err
		}
	}
	if _, apart := e.(*kafka); apart { // a tree has one of each within it
		for n := range 2 {
			i.offices = append(i.offices, i.newOffice("registrar", n), i.newOffice("provisioner", n, siteFlags(dir)...))
		}
	}
	if err := i.heal(ctx); err != nil {
		return i, err
	}
	for _, statement := range ownView {
		if _, err := e.query(ctx, statement); err != nil {
			return i, err
		}
	}
	var err error
	at := e.at()
	i.log, err = eventlog.New(eventlog.Config{Brokers: split(at.Kafka), Registry: at.Registry}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return i, err
	}
	i.checker = newChecker(newReceipts(), i.log, e)
	i.checker.stalled = i.dump
	i.books = newBooks(i.log, e, sitesOf(dir))
	return i, nil
}

func (i *installation) addGateway() error {
	name := fmt.Sprintf("gateway-%d", len(i.doors))
	through := i.engines.through()
	front, err := newLink("senders to "+name, "", &i.tally.cuts)
	if err != nil {
		return err
	}
	registry, err := newLink(name+" to registry", hostOf(through.Registry), &i.tally.cuts)
	if err != nil {
		return err
	}
	g := &gateway{front: front, registry: registry}
	g.process = &process{
		name: name, logs: logsOf(i.dir),
		command: []string{i.program, "gateway", "--listen", "127.0.0.1:0", "--brokers", through.Kafka, "--registry", "http://" + registry.addr() + pathOf(through.Registry), "--partitions", partitions, "--drain", "5s"},
		onReady: func(a addresses) { front.aim(hostOf(a.Gateway)) },
	}
	i.doors = append(i.doors, g)
	return g.start()
}

// blockAge makes many small blocks, so that faults find them in every state.
const blockAge = 250 * time.Millisecond

func (i *installation) newWorker(name string) (*worker, error) {
	through := i.engines.through()
	registry, err := newLink(name+" to registry", hostOf(through.Registry), &i.tally.cuts)
	if err != nil {
		return nil, err
	}
	clickhouse, err := newLink(name+" to clickhouse", hostOf(through.ClickHouse), &i.tally.cuts)
	if err != nil {
		return nil, err
	}
	w := &worker{registry: registry, clickhouse: clickhouse}
	w.process = &process{
		name: name, logs: logsOf(i.dir),
		command: []string{
			i.program, "analytics", "--metrics-listen", "127.0.0.1:0", "--brokers", through.Kafka,
			"--registry", "http://" + registry.addr() + pathOf(through.Registry), "--clickhouse", "http://" + clickhouse.addr(),
			"--session-timeout", sessionTimeout.String(), "--block-age", blockAge.String(), "--no-sync", "--partitions", partitions,
		},
	}
	return w, nil
}

// newOffice returns a registrar or a provisioner, which does not run yet.
func (i *installation) newOffice(service string, number int, flags ...string) *process {
	through := i.engines.through()
	return &process{
		name: fmt.Sprintf("%s-%d", service, number), logs: logsOf(i.dir),
		command: slices.Concat([]string{i.program, service, "--metrics-listen", "127.0.0.1:0", "--brokers", through.Kafka, "--registry", through.Registry}, flags),
	}
}

// sitesOf returns the folder of the simulated sites.
func sitesOf(dir string) string { return filepath.Join(dir, "sites") }

// letSitesCount makes the file in which sites note their acts.
func letSitesCount(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, simulated.Acts), nil, 0o644)
}

// siteFlags make steps take a moment, so that faults find them under way, and some fail.
func siteFlags(dir string) []string {
	return []string{
		"--sites", sitesOf(dir), "--site-pace", "40ms", "--site-fail-one-in", "10", "--provision-attempts", "4",
		"--provision-first-wait", "100ms", "--provision-last-wait", "400ms", "--provision-break", "500ms",
	}
}

// logsOf returns the folder of what processes print.
func logsOf(dir string) string { return filepath.Join(dir, "logs") }

// targets returns where senders send to.
func (i *installation) targets() []string {
	urls := make([]string, 0, len(i.doors)+1)
	for _, g := range i.doors {
		urls = append(urls, "http://"+g.front.addr())
	}
	for _, l := range i.engines.gateways() {
		urls = append(urls, "http://"+l.addr())
	}
	return urls
}

// links returns every link.
func (i *installation) links() []*link {
	all := append(i.engines.links(), i.engines.gateways()...)
	for _, g := range i.doors {
		all = append(all, g.front, g.registry)
	}
	for _, w := range i.workers {
		all = append(all, w.registry, w.clickhouse)
	}
	return all
}

func (i *installation) processes() []*process {
	all := make([]*process, 0, len(i.doors)+len(i.workers)+len(i.offices))
	for _, g := range i.doors {
		all = append(all, g.process)
	}
	for _, w := range i.workers {
		all = append(all, w.process)
	}
	return append(all, i.offices...)
}

// heal undoes every fault and returns when everything is ready.
func (i *installation) heal(ctx context.Context) error {
	for _, l := range i.links() {
		l.set(weather{})
	}
	err := i.engines.heal(ctx)
	for _, p := range i.processes() {
		p.thaw()
		err = errors.Join(err, p.died(), p.start())
	}
	for _, p := range i.processes() {
		err = errors.Join(err, p.await(ctx))
	}
	return err
}

// dump lets every worker write its goroutines into its log, and end: the round has failed.
func (i *installation) dump() {
	for _, w := range i.workers {
		if w.order() != nil {
			w.signal(syscall.SIGQUIT)
		}
	}
}

// close ends everything in good order.
func (i *installation) close() error {
	var err error
	for _, p := range i.processes() {
		err = errors.Join(err, p.terminate(30*time.Second))
	}
	if i.log != nil {
		i.log.Close()
	}
	for _, l := range i.links() {
		l.close()
	}
	return errors.Join(err, i.engines.close())
}
