// Command bench measures every hot path beside a raw ceiling, in one run on one machine, and prints a table in Markdown.
//
// Absolute figures drift with the machine and with what else runs on it; the ratios are what counts. A ceiling is the same
// work with everything that is Fieldlog's taken out: a web server that appends the body as it is, a look at each byte, an
// insert of the readings alone.
//
//	gateway              load (this process) -> fieldlog gateway (child) -> broker (this process); the child's CPU counts
//	log to columns       go test -bench, in-process
//	block to ClickHouse  go test -bench, through HTTP into the embedded engine
//	whole path           load (this process) -> fieldlog up (child, with the engine's own child); wall and CPU
//	orders               go test -bench: a backlog, and its replay, on a broker in memory
//	delay                the whole path at half the load: from sending a report until a query finds it
//
// Load goes to loopback only, and is bounded in time.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"time"
)

func main() {
	null := flag.String("null", "", "serve the gateway's ceiling on this address (used by the benchmark itself)")
	broker := flag.String("broker", "", "the broker of -null")
	quick := flag.Bool("quick", false, "shorter runs, for checking that everything works")
	binary := flag.String("binary", "bin/fieldlog", "the built program")
	only := flag.String("only", "", "one section: gateway, columns, insert, path or orders")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *null != "" {
		serveNull(ctx, *null, *broker)
		return
	}
	b := &bench{binary: *binary, only: *only, load: 6 * time.Second, benchtime: "1s", inserts: "8x", backlogs: "5x"}
	if *quick {
		b.load, b.benchtime, b.inserts, b.backlogs = 2*time.Second, "100ms", "2x", "1x"
	}
	if err := b.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run.
type bench struct {
	binary    string
	only      string
	load      time.Duration
	benchtime string // of one benchmark
	inserts   string // times that a block is inserted: a second would be one
	backlogs  string // times that a backlog of orders is worked off
	rows      []row
}

// row is a line of the table: nanoseconds a reading of CPU, or of wall time where it says so.
type row struct {
	what, shape       string
	measured, ceiling float64
	ceilingIs         string
}

func (b *bench) run(ctx context.Context) error {
	sections := []struct {
		name string
		run  func(context.Context) error
	}{{"gateway", b.gateway}, {"columns", b.columns}, {"insert", b.insert}, {"path", b.path}, {"orders", b.orders}}
	for _, s := range sections {
		if b.only != "" && b.only != s.name {
			continue
		}
		if err := s.run(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("\n%s, %d cores, %s/%s, Go %s. ns of CPU a reading or an order; in brackets how many a core-second.\n\n",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	fmt.Println("| path | shape | measured | ceiling | times the ceiling |\n| --- | --- | ---: | ---: | ---: |")
	for _, r := range b.rows {
		fmt.Printf("| %s | %s | %.0f (%s) | %.0f, %s | %.1f |\n", r.what, r.shape, r.measured, rate(r.measured), r.ceiling, r.ceilingIs, r.measured/r.ceiling)
	}
	return nil
}

// rate turns nanoseconds a reading into readings a second.
func rate(ns float64) string {
	perSecond := 1e9 / ns
	if perSecond >= 1e6 {
		return fmt.Sprintf("%.2f M/s", perSecond/1e6)
	}
	return fmt.Sprintf("%.0f k/s", perSecond/1e3)
}

func (b *bench) add(what, shape string, measured, ceiling float64, ceilingIs string) {
	b.rows = append(b.rows, row{what, shape, measured, ceiling, ceilingIs})
	fmt.Printf("%-22s %-28s %8.0f ns  ceiling %8.0f ns (%s)\n", what, shape, measured, ceiling, ceilingIs)
}
