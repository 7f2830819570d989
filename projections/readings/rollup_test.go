package readings

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/fieldlog/fieldlog/schemas"
)

// bucket is what a row of a rollup says.
type bucket struct {
	count         uint64
	min, max, sum float64
	last          float64
	rank          [2]uint64
}

// TestTheSummaryIsWhatTheRowsSay compares every rollup and the devices with a fold of the rows one by one.
func TestTheSummaryIsWhatTheRowsSay(t *testing.T) {
	const partition = 7
	random := rand.New(rand.NewPCG(1, 2))
	var b Block
	for range 3 { // memory is used again
		b.Reset()
		for n := range 300 {
			r := &schemas.TelemetryReported{Client: fmt.Sprint("c", n%3), Device: fmt.Sprint("d", n%7)}
			r.EventTime, r.ReceivedTime = 1_795_000_000_000_000, schemas.Time(1_795_000_000_000_000+n)
			for m := range 20 {
				at := schemas.Time(1_795_000_000_000_000 + random.Int64N(45*86_400_000_000)) // two months
				v := []schemas.Value{
					schemas.DoubleValue(float64(random.IntN(400)) / 4), schemas.IntegerValue(random.Int64N(100)),
					schemas.BooleanValue(m%2 == 0), schemas.TextValue(fmt.Sprint("t", random.IntN(5))),
				}[random.IntN(4)]
				r.Readings = append(r.Readings, schemas.Reading{Metric: fmt.Sprint("m", m%5), Time: at, Value: v})
			}
			if err := b.Add(int64(n), r); err != nil {
				t.Fatal(err)
			}
		}
		b.Sort()
		b.Summarize(Source{Name: "source", Partition: partition, Last: 299})
		for _, c := range b.Readings {
			checkRollup(t, c, &c.Summary.Minutes, int64(Minute), partition)
			checkRollup(t, c, &c.Summary.Hours, int64(Hour), partition)
			checkRollup(t, c, &c.Summary.Days, int64(Day), partition)
			checkDevices(t, c, partition)
		}
	}
}

func checkRollup(t *testing.T, c *Readings, r *Rollup, length int64, partition uint32) {
	t.Helper()
	want := map[string]bucket{}
	for i := range c.Rows() {
		if schemas.ValueType(c.Type[i]) == schemas.Text {
			continue
		}
		key := fmt.Sprint(text(&c.Client, i), text(&c.Device, i), text(&c.Metric, i), c.Time[i]/length*length/1_000_000)
		w, there := want[key]
		if !there {
			w.min, w.max = math.Inf(1), math.Inf(-1)
		}
		w.count, w.sum, w.min, w.max = w.count+1, w.sum+c.Value[i], min(w.min, c.Value[i]), max(w.max, c.Value[i])
		low, high := c.rank(i, partition)
		if high > w.rank[1] || high == w.rank[1] && low >= w.rank[0] {
			w.rank, w.last = [2]uint64{low, high}, c.Value[i]
		}
		want[key] = w
	}
	if r.Rows() != len(want)+1 {
		t.Errorf("%d µs: %d rows, want %d and a mark", length, r.Rows(), len(want))
	}
	checkMark(t, c, r.Client[0], r.Device[0], r.Metric[0], int64(r.Time[0])*1_000_000)
	if r.Count[0] != 0 || r.Sum[0] != 0 || r.Latest[0] != [32]byte{43, 1} { // 299
		t.Errorf("%d µs: the mark is at %x, with %d readings", length, r.Latest[0], r.Count[0])
	}
	for i := 1; i < r.Rows(); i++ {
		key := fmt.Sprint(c.Client.Values[r.Client[i]], c.Device.Values[r.Device[i]], c.Metric.Values[r.Metric[i]], r.Time[i])
		word := func(n int) uint64 { return binary.LittleEndian.Uint64(r.Latest[i][8*n:]) }
		got := bucket{r.Count[i], r.Min[i], r.Max[i], r.Sum[i], math.Float64frombits(word(0)), [2]uint64{word(1), word(2)}}
		if got != want[key] {
			t.Errorf("%d µs, %s: got %+v, want %+v", length, key, got, want[key])
		}
	}
}

// checkMark checks that a row begins with what no reading has.
func checkMark(t *testing.T, c *Readings, client, device, metric uint32, at int64) {
	t.Helper()
	if c.Client.Values[client] != "" || c.Device.Values[device] != "" || c.Metric.Values[metric] != "source" || at != c.span.from {
		t.Errorf("the mark is %q %q %q at %d", c.Client.Values[client], c.Device.Values[device], c.Metric.Values[metric], at)
	}
}

// TestOnlyTexts has nothing to roll up, and nothing to mark.
func TestOnlyTexts(t *testing.T) {
	var b Block
	r := &schemas.TelemetryReported{Client: "c", Device: "d", Readings: []schemas.Reading{{Metric: "m", Value: schemas.TextValue("on")}}}
	if err := b.Add(1, r); err != nil {
		t.Fatal(err)
	}
	b.Sort()
	b.Summarize(Source{Name: "source", Last: 1})
	s := &b.Readings[0].Summary
	if s.Minutes.Rows() != 0 || s.Hours.Rows() != 0 || s.Days.Rows() != 0 || s.Devices.Rows() != 2 {
		t.Errorf("got %d, %d, %d and %d rows", s.Minutes.Rows(), s.Hours.Rows(), s.Days.Rows(), s.Devices.Rows())
	}
}

func checkDevices(t *testing.T, c *Readings, partition uint32) {
	t.Helper()
	type series struct {
		received int64
		latest   []byte
	}
	want := map[string]series{}
	for i := range c.Rows() {
		key := fmt.Sprint(text(&c.Client, i), text(&c.Device, i), text(&c.Metric, i))
		low, high := c.rank(i, partition)
		latest := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, high), low)
		bits := math.Float64bits(c.Value[i])
		if k := schemas.ValueType(c.Type[i]); k == schemas.Integer || k == schemas.Boolean {
			bits = uint64(c.Integer[i])
		}
		latest = append(binary.LittleEndian.AppendUint64(append(latest, c.Type[i]), bits), text(&c.Text, i)...)
		w := want[key]
		w.received = max(w.received, c.Received[i])
		if bytes.Compare(latest, w.latest) > 0 {
			w.latest = latest
		}
		want[key] = w
	}
	d := &c.Summary.Devices
	if d.Rows() != len(want)+1 {
		t.Errorf("devices: %d rows, want %d and a mark", d.Rows(), len(want))
	}
	checkMark(t, c, d.Client[0], d.Device[0], d.Metric[0], d.Time[0])
	packed, mark := d.Latest.Packed, []byte{8, 0, 0, 0, 0, 0, 0, 1, 43} // the length, and 299
	if !bytes.HasPrefix(packed, mark) {
		t.Errorf("devices: the mark is %x", packed[:len(mark)])
	}
	packed = packed[len(mark):]
	for i := 1; i < d.Rows(); i++ {
		n, size := binary.Uvarint(packed)
		latest := packed[size : size+int(n)]
		packed = packed[size+int(n):]
		key := fmt.Sprint(c.Client.Values[d.Client[i]], c.Device.Values[d.Device[i]], c.Metric.Values[d.Metric[i]])
		if w := want[key]; d.Received[i] != w.received || !bytes.Equal(latest, w.latest) {
			t.Errorf("devices, %s: got %d %x, want %d %x", key, d.Received[i], latest, w.received, w.latest)
		}
	}
}

func BenchmarkSummarize(b *testing.B) {
	var block Block
	for n := range 10_000 {
		r := &schemas.TelemetryReported{Client: "c", Device: fmt.Sprint("d", n%1000)}
		r.EventTime, r.ReceivedTime = 1_795_000_000_000_000, 1_795_000_000_000_000
		for m := range 10 {
			r.Readings = append(r.Readings, schemas.Reading{Metric: fmt.Sprint("m", m), Time: schemas.Time(1_795_000_000_000_000 + n*1000), Value: schemas.DoubleValue(1.5)})
		}
		if err := block.Add(int64(n), r); err != nil {
			b.Fatal(err)
		}
	}
	block.Sort()
	b.ReportAllocs()
	for b.Loop() {
		block.Summarize(Source{Name: "source", Partition: 3, Last: 9999})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100_000, "ns/reading")
}
