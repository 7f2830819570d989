package chaos

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var (
	rounds = flag.Int("rounds", 0, "rounds to run; 0 runs none")
	first  = flag.Int("first", 1, "number of the first round")
	seed   = flag.Uint64("seed", 1, "decides what happens; 0 takes one from the clock")
	shape  = flag.String("shape", "both", "what to break: tree, kafka or both in turn")
	keep   = flag.String("keep", "", "folder that keeps the processes' logs; default a temporary one, which is kept after a failure")
)

// binary returns the built program.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("FIELDLOG_TEST_BINARY")
	if path == "" {
		path = filepath.Join("..", "..", "bin", "fieldlog")
	}
	path, err := filepath.Abs(path)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Fatalf("the binary is not built: %v; run make chaos, or make build", err)
	}
	return path
}

// workplace returns a folder that stays when the test has failed.
func workplace(t *testing.T) string {
	t.Helper()
	if *keep != "" {
		if err := os.MkdirAll(*keep, 0o755); err != nil {
			t.Fatal(err)
		}
		return *keep
	}
	dir, err := os.MkdirTemp("", "chaos-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("logs of the processes are in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

// plant assembles an installation around "fieldlog up": a gateway and two workers beside it.
func plant(t *testing.T, dir, program string, n *tally) *installation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), healTime)
	defer cancel()
	dir = folder(t, dir, "tree")
	e, err := newTree(ctx, dir, program, n)
	if err != nil {
		t.Fatal(err)
	}
	return settled(ctx, t, dir, program, n, e, 1, 2)
}

// found assembles an installation on Apache Kafka: two gateways and three workers, so that partitions move.
func found(t *testing.T, dir, program string, n *tally) *installation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // packages may have to be brought
	defer cancel()
	dir = folder(t, dir, "kafka")
	e, err := newKafka(ctx, dir, program, n)
	if err != nil {
		t.Fatal(errors.Join(err, e.close()))
	}
	return settled(ctx, t, dir, program, n, e, 2, 3)
}

func settled(ctx context.Context, t *testing.T, dir, program string, n *tally, e engines, gateways, workers int) *installation {
	t.Helper()
	i, err := assemble(ctx, dir, program, n, e, gateways, workers)
	t.Cleanup(func() {
		if err := i.close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// folder makes an installation's folder.
func folder(t *testing.T, parent, name string) string {
	t.Helper()
	dir := filepath.Join(parent, name)
	if err := os.MkdirAll(logsOf(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRounds runs the matrix: odd rounds break "fieldlog up", even ones the installation on Apache Kafka.
func TestRounds(t *testing.T) {
	if *rounds == 0 {
		t.Skip("none were asked for: say -rounds, or make chaos")
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	m := matrix{t: t, count: map[kind]int{}}
	m.run(workplace(t), binary(t))
	t.Log(m.summary())
}

// matrix is a run of rounds.
type matrix struct {
	t      *testing.T
	tally  tally
	shapes []*installation // by the number of the round, modulo their number
	done   int
	count  map[kind]int
}

func (m *matrix) run(dir, program string) {
	if *shape != "tree" {
		m.shapes = append(m.shapes, found(m.t, dir, program, &m.tally))
	}
	if *shape != "kafka" {
		m.shapes = append(m.shapes, plant(m.t, dir, program, &m.tally))
	}
	for number := *first; number < *first+*rounds && !m.t.Failed(); number++ {
		m.round(m.shapes[number%len(m.shapes)], number)
	}
	for _, i := range m.shapes {
		violations, err := i.checker.check(m.t.Context(), true, "", func(string) {})
		m.judge(violations, err, "the whole check in the end")
	}
}

func (m *matrix) round(i *installation, number int) {
	r, err := i.round(m.t.Context(), *seed, number)
	m.done++
	replay := fmt.Sprintf("replay it with: make chaos CHAOS_ARGS='-mutants=false -shape %s -seed %d -first %d -rounds 1'", *shape, *seed, number)
	m.judge(r.violations, err, r.String()+"\n"+replay)
}

// judge counts violations and fails the test, with a story, if there are any.
func (m *matrix) judge(violations []violation, err error, story string) {
	for _, v := range violations {
		m.count[v.kind]++
	}
	if err != nil || len(violations) > 0 {
		m.t.Errorf("%s\n%v%v", story, listed(violations), err)
		return
	}
	m.t.Log(story)
}

// summary is the line that the documents quote.
func (m *matrix) summary() string {
	records, orders, acts := 0, 0, 0
	for _, i := range m.shapes {
		records, orders, acts = records+i.checker.checked, orders+len(i.books.orders), acts+len(i.books.effects)
	}
	return fmt.Sprintf("%d rounds, %d kills and %d stops (%d and %d of registrars and provisioners), %d connections cut, %d records, %d orders and %d acts checked, lost %d, doubled %d",
		m.done, m.tally.kills.Load(), m.tally.stops.Load(), m.tally.orderKills.Load(), m.tally.orderStops.Load(), m.tally.cuts.Load(), records, orders, acts, m.count[lost]+m.count[missing]+m.count[misplaced], m.count[doubled])
}
