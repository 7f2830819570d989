package deadletters

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/projections/projectiontest"
	"github.com/fieldlog/fieldlog/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

// letter returns the letter of a record at an offset of partition 0, after the redrives that lead to it.
func letter(key string, offset int64, after ...*schemas.DeadLetter) *schemas.DeadLetter {
	d := &schemas.DeadLetter{
		Envelope: schemas.Envelope{EventID: fmt.Sprintf("l-%d", offset)},
		Reason:   schemas.ReasonInvalid, Topic: "telemetry", Offset: offset, Key: []byte(key),
	}
	for _, a := range after {
		d.Headers = append(d.Headers, schemas.RedriveOf(a).Header())
	}
	return d
}

func redriven(d *schemas.DeadLetter) schemas.Event {
	return &schemas.DeadLetterRedriven{LetterDecision: schemas.LetterDecision{Letter: d.EventID, Key: d.Key}}
}

func discarded(d *schemas.DeadLetter) schemas.Event {
	return &schemas.DeadLetterDiscarded{LetterDecision: schemas.LetterDecision{Letter: d.EventID, Key: d.Key}}
}

// story is a partition in which all that can happen does.
func story() []schemas.Event {
	a, b, c, other := letter("c/a", 1), letter("c/a", 2), letter("c/a", 3), letter("c/b", 4)
	a2 := letter("c/a", 5, a)
	a3 := letter("c/a", 9, a, a2)
	forgotten := letter("c/b", 10, letter("c/b", 0))
	forged := letter("c/b", 11, b)
	return []schemas.Event{
		a, b, b, c, other, letter("", 6), letter("", 7),
		redriven(a), discarded(a), // the first decision stands
		a, // told again, after it was closed
		a2, redriven(a2), a3,
		discarded(b), redriven(b),
		redriven(letter("c/a", 99)), // nobody knows it
		&schemas.TelemetryReported{},
		forgotten, forged,
		letter("c/a", 12),
	}
}

// projected makes lines of a Fold.
type projected struct{ Fold }

func (p *projected) Apply(offset int64, event schemas.Event) { p.Fold.Apply(offset, event) }

func (p *projected) Rows() []string {
	lanes := map[Lane]int{{}: 0}
	var rows []string
	for _, l := range p.Letters() {
		if _, known := lanes[l.Lane]; !known {
			lanes[l.Lane] = len(lanes)
		}
		rows = append(rows, fmt.Sprintf("%x at %d: key %d, rank %d, attempt %d, %s", l.ID[:4], l.Offset, lanes[l.Lane], l.rank, l.Attempt, l.State))
	}
	return rows
}

func TestConformance(t *testing.T) {
	projectiontest.RunState(t, func() projectiontest.State[schemas.Event] { return &projected{} }, story())
}

func TestGolden(t *testing.T) {
	var p projected
	for i, e := range story() {
		p.Apply(int64(i), e)
	}
	var plans []string
	for _, earlier := range []bool{false, true} {
		for i := range p.Letters() {
			var steps []string
			for _, s := range p.Plan(func(j int) bool { return j == i }, earlier) {
				steps = append(steps, fmt.Sprintf("%d waits for %d", s.Offset, s.WaitsFor))
			}
			plans = append(plans, fmt.Sprintf("redrive %d, earlier %v: %s", p.Letters()[i].Offset, earlier, strings.Join(steps, ", ")))
		}
	}
	got := strings.Join(append(p.Rows(), plans...), "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/letters.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/letters.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPlan tells the offsets of letters that go, and in brackets those that wait.
func TestPlan(t *testing.T) {
	a1, a2, a3 := letter("c/a", 0), letter("c/a", 1), letter("c/a", 2)
	b1, b2 := letter("c/b", 3), letter("c/b", 4)
	a1again := letter("c/a", 5, a1)
	f := func(events []schemas.Event, chosen []int64, earlier bool, want string) {
		t.Helper()
		var fold Fold
		for i, e := range events {
			fold.Apply(int64(i), e)
		}
		var got []string
		for _, s := range fold.Plan(func(i int) bool {
			for _, offset := range chosen {
				if fold.Letters()[i].Offset == offset {
					return true
				}
			}
			return false
		}, earlier) {
			if s.Go() {
				got = append(got, fmt.Sprint(s.Offset))
			} else {
				got = append(got, fmt.Sprintf("(%d for %d)", s.Offset, s.WaitsFor))
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("redrive %v, earlier %v: got %q, want %q", chosen, earlier, got, want)
		}
	}
	events := []schemas.Event{a1, a2, a3, b1, b2}
	f(events, nil, false, "")
	f(events, []int64{0}, false, "0")
	f(events, []int64{1}, false, "(1 for 0)")
	f(events, []int64{2, 1}, false, "(1 for 0) (2 for 0)")
	f(events, []int64{0, 2}, false, "0 (2 for 1)")
	f(events, []int64{2, 3}, true, "0 1 2 3")
	f(events, []int64{0, 1, 2, 3, 4}, false, "0 1 2 3 4")
	f(append(events, redriven(a1)), []int64{0, 1}, false, "1")
	f(append(events, discarded(a1)), []int64{1, 4}, true, "1 3 4")
	again := append(events, redriven(a1), a1again) // it goes before the second and third
	f(again, []int64{1}, false, "(1 for 6)")
	f(again, []int64{6, 1}, false, "6 1")
	f(again, []int64{2}, true, "6 1 2")
	f([]schemas.Event{letter("", 0), letter("", 1)}, []int64{1}, true, "1") // without a key there is no order
	f([]schemas.Event{letter("c/a", 0), letter("c/a", 1, letter("c/a", 77))}, []int64{0}, false, "(0 for 1)")
}

// TestALetterIsSmall folds letters of a kilobyte and weighs what is kept of them.
func TestALetterIsSmall(t *testing.T) {
	const letters, most = 100_000, 200
	before := heap()
	var f Fold
	value := make([]byte, 1000)
	for i := range int64(letters) {
		d := letter(fmt.Sprintf("client-%d/device-%d", i%20, i%5000), i)
		d.Value = value
		f.Apply(i, d)
	}
	each := int64(heap()-before) / letters
	runtime.KeepAlive(&f)
	if t.Logf("%d bytes a letter", each); each > most || len(f.Letters()) != letters {
		t.Errorf("%d letters take %d bytes each, want at most %d", len(f.Letters()), each, most)
	}
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// BenchmarkFold is what a letter costs beside decoding it, and a plan for all of them.
func BenchmarkFold(b *testing.B) {
	var letters []*schemas.DeadLetter
	for i := range int64(10_000) {
		letters = append(letters, letter(fmt.Sprintf("client-%d/device-%d", i%20, i%500), i))
	}
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			var f Fold
			for i, d := range letters {
				f.Apply(int64(i), d)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(letters)), "ns/letter")
	})
	b.Run("plan", func(b *testing.B) {
		var f Fold
		for i, d := range letters {
			f.Apply(int64(i), d)
		}
		for b.Loop() {
			f.Plan(func(int) bool { return true }, false)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(letters)), "ns/letter")
	})
}
