package readings

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/projections/projectiontest"
	"github.com/fieldlog/fieldlog/schemas"
)

var update = flag.Bool("update", false, "write the golden files")

func at(text string) schemas.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return schemas.TimeOf(t)
}

// reports are a stream with everything in it: all types, months, devices that share a name, repeated and late readings.
func reports() []*schemas.TelemetryReported {
	head := func(id string, received schemas.Time) schemas.Envelope {
		return schemas.Envelope{
			EventID: id, EventType: "acme.app.report", EventTime: received - 5, ReceivedTime: received, TraceID: "trace-" + id,
			Attempt: 2, Origin: "http", Host: "h1", Publisher: "p",
		}
	}
	november, december := at("2026-11-30T23:59:59.999999Z"), at("2026-12-01T00:00:00Z")
	return []*schemas.TelemetryReported{
		{Envelope: head("1", november), Client: "b", Device: "d1", Labels: []schemas.Label{{Name: "site", Value: "north"}, {Name: "a", Value: ""}},
			Readings: []schemas.Reading{
				{Metric: "temperature", Time: november, Unit: "C", Value: schemas.DoubleValue(21.5)},
				{Metric: "temperature", Time: december, Unit: "C", Value: schemas.DoubleValue(-0.25)},
				{Metric: "pulses", Time: november, Value: schemas.IntegerValue(math.MaxInt64)},
				{Metric: "running", Time: december, Value: schemas.BooleanValue(true)},
				{Metric: "state", Time: november, Value: schemas.TextValue("açık, 'quoted'")},
			}},
		{Envelope: head("2", november-7), Client: "a", Device: "d1", Readings: []schemas.Reading{
			{Metric: "temperature", Time: november - 1, Unit: "K", Value: schemas.IntegerValue(-3)},
		}},
		{Envelope: head("3", december), Client: "b", Device: "d1", Readings: []schemas.Reading{
			{Metric: "pulses", Time: november - 2, Value: schemas.IntegerValue(1)},
			{Metric: "pulses", Time: november - 2, Value: schemas.IntegerValue(2)},
			{Metric: "temperature", Time: november, Unit: "C", Value: schemas.DoubleValue(1e300)},
			{Metric: "state", Time: MinTime, Value: schemas.TextValue("")},
			{Metric: "state", Time: MaxTime, Value: schemas.TextValue(strings.Repeat("long", 20_000))},
		}},
		{Envelope: head("4", december+1), Client: "b", Device: "d0", Labels: []schemas.Label{{Name: "site", Value: "south"}},
			Readings: []schemas.Reading{{Metric: "running", Time: december, Value: schemas.BooleanValue(false)}}},
	}
}

// projected is a Block that the conformance suite can drive.
type projected struct {
	t      testing.TB
	block  Block
	sorted bool
}

// Apply implements projectiontest.Projection. What it hands to the block is overwritten afterwards.
func (p *projected) Apply(offset int64, r *schemas.TelemetryReported) {
	var reused [][]byte
	if err := p.block.Add(offset, borrow(r, &reused)); err != nil {
		p.t.Fatalf("fold report %d: %v", offset, err)
	}
	for _, b := range reused {
		for i := range b {
			b[i] = '#'
		}
	}
}

func (p *projected) Reset() { p.block.Reset() }

func (p *projected) Rows() []string {
	if p.sorted {
		p.block.Sort()
	}
	var rows []string
	for _, c := range p.block.Readings {
		rows = append(rows, readingRows(c)...)
	}
	for _, c := range p.block.Reports {
		rows = append(rows, reportRows(c)...)
	}
	return rows
}

func readingRows(c *Readings) []string {
	var rows []string
	for i := range c.Rows() {
		rows = append(rows, fmt.Sprintf("%d reading %q %q %q %s %s %v %d %.40q %q %s %d %d", c.Month,
			text(&c.Client, i), text(&c.Device, i), text(&c.Metric, i), instant(c.Time[i]), schemas.ValueType(c.Type[i]), c.Value[i], c.Integer[i],
			text(&c.Text, i), text(&c.Unit, i), instant(c.Received[i]), c.Offset[i], c.Index[i]))
	}
	return rows
}

func reportRows(c *Reports) []string {
	ids, traces, names, values := unpack(&c.EventID), unpack(&c.TraceID), unpack(&c.LabelNames), unpack(&c.LabelValues)
	var rows []string
	begin := uint64(0)
	for i := range c.Rows() {
		rows = append(rows, fmt.Sprintf("%d report %q %q %q %q %q %s %s %d %q=%q %q %q %q %d %d", c.Month,
			ids[i], text(&c.EventType, i), traces[i], text(&c.Client, i), text(&c.Device, i), instant(c.EventTime[i]), instant(c.ReceivedTime[i]),
			c.Attempt[i], names[begin:c.LabelEnds[i]], values[begin:c.LabelEnds[i]], text(&c.Origin, i), text(&c.Host, i), text(&c.Publisher, i),
			c.Readings[i], c.Offset[i]))
		begin = c.LabelEnds[i]
	}
	return rows
}

func text(c *Coded, i int) string { return c.Values[c.Index[i]] }

func instant(t int64) string { return schemas.Time(t).Time().Format(time.RFC3339Nano) }

func unpack(t *Texts) []string {
	var texts []string
	for p := t.Packed; len(p) > 0; {
		n, k := binary.Uvarint(p)
		texts = append(texts, string(p[k:k+int(n)]))
		p = p[k+int(n):]
	}
	return texts
}

func TestConformance(t *testing.T) {
	for _, sorted := range []bool{false, true} {
		projectiontest.Run(t, projectiontest.Subject[*schemas.TelemetryReported]{
			New:    func() projectiontest.Projection[*schemas.TelemetryReported] { return &projected{t: t, sorted: sorted} },
			Events: reports(),
		})
	}
}

func TestGolden(t *testing.T) {
	p := &projected{t: t}
	for i, r := range reports() {
		p.Apply(int64(i), r)
	}
	got := strings.Join(p.Rows(), "\n") + "\n"
	if *update {
		if err := os.WriteFile("testdata/rows.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/rows.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSortIsTheOrderOfTheTable(t *testing.T) {
	var b Block
	for offset := range int64(200) {
		device := fmt.Sprintf("device-%d", offset*7%13)
		r := &schemas.TelemetryReported{Client: fmt.Sprintf("c%d", offset%3), Device: device}
		for i := range 5 {
			r.Readings = append(r.Readings, schemas.Reading{
				Metric: strings.Repeat("m", i%3+1), Time: schemas.Time(1000 - offset%50*10 + int64(i)), Value: schemas.IntegerValue(offset),
			})
		}
		if err := b.Add(offset, r); err != nil {
			t.Fatal(err)
		}
	}
	c := b.Readings[0]
	before := readingRows(c)
	b.Sort()
	after := readingRows(c)
	key := func(i int) string {
		return fmt.Sprintf("%s %s %-5s %08d %06d %d", text(&c.Client, i), text(&c.Device, i), text(&c.Metric, i), c.Time[i], c.Offset[i], c.Index[i])
	}
	for i := range c.Rows() {
		if i > 0 && strings.Join(strings.Fields(key(i-1)), "\x00") > strings.Join(strings.Fields(key(i)), "\x00") {
			t.Fatalf("row %d: %s comes after %s", i, key(i), key(i-1))
		}
	}
	slices.Sort(before)
	slices.Sort(after)
	if !slices.Equal(before, after) {
		t.Error("sorting changed rows")
	}
}

func TestViolations(t *testing.T) {
	reading := schemas.Reading{Metric: "m", Time: 5}
	good := func() *schemas.TelemetryReported {
		return &schemas.TelemetryReported{Client: "c", Device: "d", Readings: []schemas.Reading{reading, reading}}
	}
	f := func(want string, spoil func(r *schemas.TelemetryReported)) {
		t.Helper()
		var b Block
		if err := b.Add(1, good()); err != nil {
			t.Fatal(err)
		}
		r := good()
		spoil(r)
		err := b.Add(2, r)
		var violation *Violation
		if !errors.As(err, &violation) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a violation that says %q", err, want)
		}
		if b.Rows() != 3 || b.Groups() != 2 {
			t.Errorf("%s: the block has %d rows in %d groups, want it as it was", want, b.Rows(), b.Groups())
		}
	}
	f("client", func(r *schemas.TelemetryReported) { r.Client = "" })
	f("device", func(r *schemas.TelemetryReported) { r.Device = "" })
	f("no reading", func(r *schemas.TelemetryReported) { r.Readings = nil })
	f("readings[1]: metric", func(r *schemas.TelemetryReported) { r.Readings[1].Metric = "" })
	f("readings[1]: time", func(r *schemas.TelemetryReported) { r.Readings[1].Time = MinTime - 1 })
	f("readings[0]: time", func(r *schemas.TelemetryReported) { r.Readings[0].Time = MaxTime + 1 })
	f("received_time", func(r *schemas.TelemetryReported) { r.ReceivedTime = math.MaxInt64 })
	f("event_time", func(r *schemas.TelemetryReported) { r.EventTime = math.MinInt64 })
	f("not finite", func(r *schemas.TelemetryReported) { r.Readings[1].Value = schemas.DoubleValue(math.NaN()) })
	f("not finite", func(r *schemas.TelemetryReported) { r.Readings[1].Value = schemas.DoubleValue(math.Inf(-1)) })
	f("readings, fewer", func(r *schemas.TelemetryReported) { r.Readings = slices.Repeat(r.Readings[:1], MaxReadings) })
	f("100 months", func(r *schemas.TelemetryReported) {
		r.Readings = nil
		for i := range schemas.Time(MaxMonths + 1) {
			r.Readings = append(r.Readings, schemas.Reading{Metric: "m", Time: i * 31 * 86400 * 1_000_000})
		}
	})
}

func TestMonths(t *testing.T) {
	f := func(text string, want Month) {
		t.Helper()
		s := spanOf(int64(at(text)))
		if s.month != want || !s.holds(int64(at(text))) {
			t.Errorf("%s: got %d, want %d", text, s.month, want)
		}
		if before, after := spanOf(s.from-1), spanOf(s.until); before.until != s.from || after.from != s.until {
			t.Errorf("%s: months do not meet", text)
		}
	}
	f("1970-01-01T00:00:00Z", 197001)
	f("2024-02-29T23:59:59.999999Z", 202402)
	f("2026-12-31T23:59:59.999999Z", 202612)
	f("2027-01-01T00:00:00Z", 202701)
	f("2105-12-31T23:59:59.999999Z", 210512)
	if spanOf(int64(MaxTime)).month != 210512 || spanOf(int64(MaxTime)+1).month != 210601 {
		t.Error("MaxTime is not the end of 2105")
	}
}

func TestManyMonthsAreNotKept(t *testing.T) {
	var b Block
	r := &schemas.TelemetryReported{Client: "c", Device: "d"}
	for i := range schemas.Time(50) {
		r.Readings = append(r.Readings, schemas.Reading{Metric: "m", Time: i * 31 * 86400 * 1_000_000})
	}
	for range 2 {
		if err := b.Add(1, r); err != nil {
			t.Fatal(err)
		}
		if len(b.Readings) != 50 || b.Rows() != 51 {
			t.Fatalf("got %d months, %d rows", len(b.Readings), b.Rows())
		}
		b.Reset()
	}
	kept := 0
	for _, group := range b.Readings[:cap(b.Readings)] {
		if group != nil {
			kept++
		}
	}
	if kept != keptGroups {
		t.Errorf("%d months are kept, want %d", kept, keptGroups)
	}
}

func TestAddingAllocatesNothing(t *testing.T) {
	var b Block
	stream := steady(100, 10)
	fold := func() {
		b.Reset()
		for i := range stream {
			if err := b.Add(int64(i), &stream[i]); err != nil {
				t.Fatal(err)
			}
		}
		b.Sort()
	}
	fold()
	fold()
	if n := testing.AllocsPerRun(20, fold); n != 0 {
		t.Errorf("got %v allocations a block, want none", n)
	}
}
