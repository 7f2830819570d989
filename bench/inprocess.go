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

var benchLine = regexp.MustCompile(`^(Benchmark\S+?)(?:-\d+)?\s.*?([\d.]+) ns/reading`)

// goBench runs Go benchmarks for so long, or so often, and returns their nanoseconds a reading by name.
func (b *bench) goBench(ctx context.Context, benchtime, pkg, pattern string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchtime", benchtime, "-timeout", "10m", pkg)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run benchmarks %q of %s: %w\n%s", pattern, pkg, err, out)
	}
	results := map[string]float64{}
	for line := range strings.Lines(string(out)) {
		if m := benchLine.FindStringSubmatch(line); m != nil {
			if results[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
				return nil, err
			}
		}
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("benchmarks %q of %s printed no figures:\n%s", pattern, pkg, out)
	}
	return results, nil
}
