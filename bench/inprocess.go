package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// columns measures the way from a record's bytes to columns.
func (b *bench) columns(ctx context.Context) error {
	scanned, err := b.goBench(ctx, b.benchtime, "./services/gateway/jsonscan", "BenchmarkScan/^readings=100$/^array=false$")
	if err != nil {
		return err
	}
	seen, err := b.goBench(ctx, b.benchtime, "./services/gateway/jsonscan", "BenchmarkScan/^ceiling$/^readings=100$/^array=false$")
	if err != nil {
		return err
	}
	b.add("JSON to report", "100 readings", scanned["BenchmarkScan/readings=100/array=false"], seen["BenchmarkScan/ceiling/readings=100/array=false"], "looking at each byte")
	results, err := b.goBench(ctx, b.benchtime, "./services/analytics", "BenchmarkRecordsToColumns")
	if err != nil {
		return err
	}
	const name = "BenchmarkRecordsToColumns/"
	b.add("log to columns", "10 readings a record", results[name+"decode,_fold_and_sort"], results[name+"decode"], "decoding alone")
	return nil
}

// insert measures a block on its way into ClickHouse.
func (b *bench) insert(ctx context.Context) error {
	results, err := b.goBench(ctx, b.inserts, "./services/analytics", "BenchmarkInsert/rows=(100000|500000)$/^(bare|all tables|server)$")
	if err != nil {
		return err
	}
	for _, rows := range []string{"100000", "500000"} {
		name := "BenchmarkInsert/rows=" + rows + "/"
		b.add("block to ClickHouse", rows+" rows, readings alone, wall", results[name+"bare"], results[name+"server"], "the same from the server's memory")
		b.add("block to ClickHouse", rows+" rows, rollups and reports too, wall", results[name+"all_tables"], results[name+"bare"], "the readings alone")
	}
	return nil
}

// orders measures what is decided and provisioned, an order, wall.
func (b *bench) orders(ctx context.Context) error {
	decided, err := b.goBench(ctx, b.backlogs, "./services/registrar", "BenchmarkRegistrar")
	if err != nil {
		return err
	}
	b.add("orders decided", "a backlog of 50000, wall", decided["BenchmarkRegistrar/decide"], decided["BenchmarkRegistrar/copy"], "franz-go's transactions, copying each")
	provisioned, err := b.goBench(ctx, b.backlogs, "./services/provisioner", "BenchmarkProvision/orders=10000$")
	if err != nil {
		return err
	}
	const name = "BenchmarkProvision/orders=10000"
	b.add("orders replayed", "10000 of three steps, wall", provisioned[name+" replay"], provisioned[name+" read"], "reading and decoding them")
	fmt.Printf("orders provisioned: %.0f ns each, three steps of a backend that takes no time\n", provisioned[name])
	return nil
}

var (
	benchLine = regexp.MustCompile(`^(Benchmark\S+?)(?:-\d+)?\s`)
	figure    = regexp.MustCompile(`([\d.]+) (?:(\w+)-)?ns/(?:reading|order)`)
)

// goBench runs Go benchmarks for so long, or so often, and returns their nanoseconds a reading or an order by name; those of a part,
// by name and part.
func (b *bench) goBench(ctx context.Context, benchtime, pkg, pattern string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-timeout", "10m", pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run benchmarks %q of %s: %w\n%s", pattern, pkg, err, out)
	}
	results := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		name := benchLine.FindStringSubmatch(line)
		if name == nil {
			continue
		}
		for _, m := range figure.FindAllStringSubmatch(line, -1) {
			if results[strings.TrimSpace(name[1]+" "+m[2])], err = strconv.ParseFloat(m[1], 64); err != nil {
				return nil, err
			}
		}
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("benchmarks %q of %s printed no figures:\n%s", pattern, pkg, out)
	}
	return results, nil
}
