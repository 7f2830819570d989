package duplicates

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/projections/projectiontest"
	"github.com/fieldlog/fieldlog/schemas"
)

// record is a record that takes part, at its offset.
type record struct {
	id     ID
	offset int64
	time   schemas.Time
}

// model is the rule as it is written down.
type model struct {
	limits Limits
	seen   []record
}

func (m *model) add(r record) (duplicate bool) {
	remembered := m.seen[max(0, len(m.seen)-m.limits.Entries):]
	for _, earlier := range slices.Backward(remembered) {
		if earlier.id == r.id {
			duplicate = r.offset-earlier.offset <= m.limits.Reports ||
				int64(r.time)/1e6-int64(earlier.time)/1e6 <= int64(m.limits.Age.Seconds())
			break
		}
	}
	m.seen = append(m.seen, r)
	return duplicate
}

// stream returns records of few reports, with gaps in the offsets and times that step back by less than Slack.
func stream(random *rand.Rand, n int) []record {
	records := make([]record, n)
	offset, at := random.Int64N(1<<33), 1_795_000_000*schemas.Time(1_000_000)
	for i := range records {
		offset += 1 + random.Int64N(3)*random.Int64N(4)
		at += schemas.Time(random.Int64N(40_000_000))
		back := schemas.Time(random.Int64N(Slack.Microseconds() - 1_000_000))
		records[i] = record{id: ID{uint32(random.IntN(4)), uint32(random.IntN(n / 8))}, offset: offset, time: at - back*schemas.Time(random.IntN(2))}
	}
	return records
}

// limitsToTry are windows in which each of the bounds decides now and then.
var limitsToTry = []Limits{
	{Reports: 20, Age: 60 * time.Second, Entries: 1000},
	{Reports: 100, Age: time.Second, Entries: 1000},
	{Reports: 1, Age: 30 * time.Minute, Entries: 1000},
	{Reports: 200, Age: 30 * time.Minute, Entries: 17},
	{Reports: 3, Age: time.Second, Entries: 1},
}

func TestTheRule(t *testing.T) {
	for _, limits := range limitsToTry {
		for seed := range uint64(6) {
			w, m, found := New(limits), &model{limits: limits}, 0
			for _, r := range stream(rand.New(rand.NewPCG(seed, 1)), 800) {
				want := m.add(r)
				if want {
					found++
				}
				expected, foretold := w.Find(r.id, r.offset, r.time)
				original, got := w.Add(r.id, r.offset, r.time)
				if got != want || foretold != want && limits.Entries > 1 {
					t.Fatalf("%+v, seed %d, offset %d: decided %v, foretold %v, want %v", limits, seed, r.offset, got, foretold, want)
				}
				if got && foretold && expected != original || got == (original == r.offset) {
					t.Fatalf("offset %d: original %d, foretold %d", r.offset, original, expected)
				}
				if again, same := w.Add(r.id, r.offset, r.time); same != got || again != original {
					t.Fatalf("offset %d added again: got %d %v, first %d %v", r.offset, again, same, original, got)
				}
			}
			if limits.Entries > 1 && (found == 0 || found == 800) {
				t.Errorf("%+v: %d of 800 are duplicates, which proves nothing", limits, found)
			}
		}
	}
}

// TestAnyCut begins a window at every record, with no more of the past than Reach asks for.
func TestAnyCut(t *testing.T) {
	for _, limits := range limitsToTry {
		records := stream(rand.New(rand.NewPCG(7, 7)), 400)
		whole, decisions := New(limits), make([]bool, len(records))
		for i, r := range records {
			_, decisions[i] = whole.Add(r.id, r.offset, r.time)
		}
		skipped := 0
		for cut, first := range records {
			w := New(limits)
			from, since := limits.Reach(first.offset, first.time)
			begin := slices.IndexFunc(records, func(r record) bool { return r.offset >= from || r.time >= since })
			skipped += begin
			for i, r := range records[begin:] {
				if _, got := w.Add(r.id, r.offset, r.time); begin+i >= cut && got != decisions[begin+i] {
					t.Fatalf("%+v: cut at %d, record %d: got %v, want %v", limits, cut, begin+i, got, decisions[begin+i])
				}
			}
		}
		if skipped == 0 && limits.Age < time.Minute {
			t.Errorf("%+v: every cut began at the beginning, which proves nothing", limits)
		}
	}
}

// TestTheOriginal follows a report that is sent again and again.
func TestTheOriginal(t *testing.T) {
	w := New(Limits{Reports: 10, Age: time.Second})
	id := Identify([]byte("c/d"), []byte("http"), []byte("e"))
	f := func(offset, wantOriginal int64, want bool) {
		t.Helper()
		original, got := w.Add(id, offset, schemas.Time(offset-5_000_000_000)*5_000_000)
		if got != want || original != wantOriginal {
			t.Errorf("offset %d: got %d %v, want %d %v", offset, original, got, wantOriginal, want)
		}
	}
	f(5_000_000_000, 5_000_000_000, false)
	f(5_000_000_010, 5_000_000_000, true)
	f(5_000_000_020, 5_000_000_000, true) // the first is no longer in the window, the second is
	f(5_000_000_031, 5_000_000_031, false)
	f(5_000_000_032, 5_000_000_031, true)
	for offset, want := range map[int64]bool{5_000_000_030: false, 5_000_000_031: false, 5_000_000_032: true, 5_000_000_033: false} {
		if _, got := w.Decided(id, offset); got != want {
			t.Errorf("decided about %d: got %v, want %v", offset, got, want)
		}
	}
	f(20_000_000_000, 20_000_000_000, false) // farther than 32 bits reach
	f(20_000_000_000, 20_000_000_000, false)
	if _, known := w.Find(id, 40_000_000_000, 0); known {
		t.Error("found across more than 2^32 records")
	}
}

func TestReportsAreToldApart(t *testing.T) {
	seen := map[ID]string{}
	f := func(key, source, id string) {
		t.Helper()
		at := Identify([]byte(key), []byte(source), []byte(id))
		if had, double := seen[at]; double {
			t.Errorf("%q %q %q is taken for %s", key, source, id, had)
		}
		seen[at] = key + " " + source + " " + id
	}
	f("c/d", "s", "e")
	f("c/d", "s", "f")
	f("c/d", "r", "e")
	f("c/d", "", "se")
	f("c/d", "se", "")
	f("c/de", "s", "")
	f("c/", "des", "")
	f("", "s", "c/de")
	f("c/x", "s", "e")
	long := fmt.Sprintf("%0500d", 1)
	f(long, "s", "e")
	f("c/d", "s", long)
}

// TestMemory fills the window and looks at its memory, then lets it pass.
func TestMemory(t *testing.T) {
	w := New(Limits{Reports: 1000, Age: time.Second, Entries: 5000})
	if w.Bytes() != 0 {
		t.Errorf("an empty window takes %d bytes", w.Bytes())
	}
	for n := range int64(100_000) { // all within one second: the bound on entries decides
		w.Add(ID{uint32(n)}, n, 0)
	}
	if w.Entries() != 5000 || w.Shortened() != 95_000 || w.Bytes() > 5000*24+16384*4 {
		t.Errorf("%d entries in %d bytes, %d dropped", w.Entries(), w.Bytes(), w.Shortened())
	}
	w.Add(ID{1}, 200_000, schemas.TimeOf(time.Unix(3600, 0)))
	if w.Entries() != 1 {
		t.Errorf("%d entries are left after an hour", w.Entries())
	}
}

func TestValidateNamesTheFlag(t *testing.T) {
	for _, l := range []Limits{{Reports: -1}, {Reports: 1 << 31}, {Age: -1}, {Age: 1000}, {Age: 1e18}, {Entries: -1}, {Entries: 1 << 30}} {
		if l.Validate() == nil {
			t.Errorf("%+v is taken", l)
		}
	}
	if err := (Limits{}).Validate(); err != nil {
		t.Error(err)
	}
}

// rebuilt is the fold as a service runs it: what Reset forgets is read again from the stream, as far as Reach asks.
type rebuilt struct {
	window *Window
	past   []record
	rows   []string
}

func (p *rebuilt) Apply(_ int64, r record) {
	if p.window == nil {
		p.window = New(limitsToTry[0])
		from, since := limitsToTry[0].Reach(r.offset, r.time)
		for _, past := range p.past {
			if past.offset < r.offset && (past.offset >= from || past.time >= since) {
				p.window.Add(past.id, past.offset, past.time)
			}
		}
	}
	if _, duplicate := p.window.Add(r.id, r.offset, r.time); duplicate {
		p.rows = append(p.rows, fmt.Sprint(r.offset))
	}
}
func (p *rebuilt) Rows() []string { return p.rows }
func (p *rebuilt) Reset()         { p.window, p.rows = nil, nil }

func TestConformance(t *testing.T) {
	records := stream(rand.New(rand.NewPCG(3, 9)), 120)
	projectiontest.Run(t, projectiontest.Subject[record]{
		New: func() projectiontest.Projection[record] { return &rebuilt{past: records} }, Events: records,
	})
}
