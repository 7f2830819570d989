package readings

import (
	"encoding/binary"
	"math"

	"github.com/fieldlog/fieldlog/schemas"
)

// Bucket is the length of a rollup's buckets.
type Bucket int64

// The rollups, in microseconds.
const (
	Minute Bucket = 60 * 1_000_000
	Hour          = 60 * Minute
	Day           = 24 * Hour
)

// Rollup are the columns of a table of buckets: what the readings of one block and month add to it, a row a series and
// bucket after the [Source]'s mark. Rows of equal key from different blocks are merged by the database. It is empty when no
// reading is a number.
type Rollup struct {
	// Client, Device and Metric share the dictionaries of the readings.
	Client, Device, Metric Index
	// Time is the beginning of the bucket in seconds since the Unix epoch.
	Time []uint32
	// Count, Min, Max and Sum are over the bucket's readings.
	Count         []uint64
	Min, Max, Sum []float64
	// Latest is the rank of the bucket's last reading and the bits of its value, as a 256-bit little-endian number whose
	// maximum is the last.
	Latest [][32]byte

	open int64 // beginning of the bucket that the last row is
}

// Index refers to a dictionary of the readings.
type Index []uint32

// Rows returns the number of rows.
func (r *Rollup) Rows() int { return len(r.Time) }

func (r *Rollup) reset() {
	r.Client, r.Device, r.Metric, r.Time = r.Client[:0], r.Device[:0], r.Metric[:0], r.Time[:0]
	r.Count, r.Min, r.Max, r.Sum, r.Latest = r.Count[:0], r.Min[:0], r.Max[:0], r.Sum[:0], r.Latest[:0]
	r.open = math.MinInt64
}

// rank returns the halves of a row's place among all readings, a 128-bit number: 52 bits of microseconds, 12 of the
// partition, 44 of the offset, 20 of the index. The highest is the last.
func (c *Readings) rank(i int, partition uint32) (low, high uint64) {
	return uint64(c.Offset[i])<<20 | uint64(c.Index[i]), uint64(c.Time[i])<<12 | uint64(partition&4095)
}

// Devices are the columns of table devices: what one block and month knows of each series, after the [Source]'s mark.
type Devices struct {
	// Client, Device and Metric share the dictionaries of the readings.
	Client, Device, Metric Index
	// Time is that of the last reading, Received the latest receipt, in microseconds since the Unix epoch.
	Time, Received []int64
	// Latest is the last reading as a text whose greatest is the last: its rank in 16 big-endian bytes, its type in one, the
	// bits of its value in eight little-endian ones (an integer's where it is one), and its text.
	Latest Texts

	packed []byte
}

// Rows returns the number of rows.
func (d *Devices) Rows() int { return len(d.Time) }

func (d *Devices) reset() {
	d.Client, d.Device, d.Metric = d.Client[:0], d.Device[:0], d.Metric[:0]
	d.Time, d.Received = d.Time[:0], d.Received[:0]
	d.Latest.reset()
}

// Summary is what the readings of a month add to the tables that are derived from them.
type Summary struct {
	Minutes, Hours, Days Rollup
	Devices              Devices
}

// Summarize makes the summary of every month. The block has been sorted.
func (b *Block) Summarize(of Source) {
	for _, group := range b.Readings {
		group.summarize(of)
	}
}

func (c *Readings) summarize(of Source) {
	partition := of.Partition
	s := &c.Summary
	rollups := [...]*Rollup{&s.Minutes, &s.Hours, &s.Days}
	lengths := [...]int64{int64(Minute), int64(Hour), int64(Day)}
	mark := c.mark(of)
	for _, r := range rollups {
		r.reset()
		r.mark(mark)
	}
	s.Devices.reset()
	s.Devices.mark(mark)
	for first, i := 0, 0; i < len(c.Time); i++ {
		if !c.sameSeries(uint32(first), uint32(i)) {
			s.Devices.add(c, first, i, partition)
			first = i
			for _, r := range rollups {
				r.open = math.MinInt64
			}
		}
		if i == len(c.Time)-1 {
			s.Devices.add(c, first, i+1, partition)
		}
		if c.Type[i] == uint8(schemas.Text) {
			continue // a text has no trend
		}
		for k, r := range rollups {
			r.add(c, i, c.Time[i]-c.Time[i]%lengths[k], partition)
		}
	}
	if s.Minutes.Rows() == 1 { // all readings are texts: there is nothing to mark
		for _, r := range rollups {
			r.reset()
		}
	}
}

// add folds row i of c, whose bucket begins at start. Rows come by series and time.
func (r *Rollup) add(c *Readings, i int, start int64, partition uint32) {
	v := c.Value[i]
	if r.open != start {
		r.open = start
		r.begin(c, i, v)
	}
	last := len(r.Time) - 1
	r.Count[last]++
	r.Sum[last] += v
	r.Min[last], r.Max[last] = min(r.Min[last], v), max(r.Max[last], v)
	latest := &r.Latest[last]
	binary.LittleEndian.PutUint64(latest[:], math.Float64bits(v))
	low, high := c.rank(i, partition)
	binary.LittleEndian.PutUint64(latest[8:], low)
	binary.LittleEndian.PutUint64(latest[16:], high)
}

// begin appends the row of a new bucket.
func (r *Rollup) begin(c *Readings, i int, v float64) {
	r.Client, r.Device, r.Metric = append(r.Client, c.Client.Index[i]), append(r.Device, c.Device.Index[i]), append(r.Metric, c.Metric.Index[i])
	r.Time = append(r.Time, uint32(r.open/1_000_000))
	r.Count, r.Sum = append(r.Count, 0), append(r.Sum, 0)
	r.Min, r.Max = append(r.Min, v), append(r.Max, v)
	r.Latest = append(r.Latest, [32]byte{})
}

// add appends the series that is in the rows from first to before end of c.
func (d *Devices) add(c *Readings, first, end int, partition uint32) {
	last, received := end-1, c.Received[first]
	for _, r := range c.Received[first:end] {
		received = max(received, r)
	}
	d.Client, d.Device, d.Metric = append(d.Client, c.Client.Index[last]), append(d.Device, c.Device.Index[last]), append(d.Metric, c.Metric.Index[last])
	d.Time, d.Received = append(d.Time, c.Time[last]), append(d.Received, received)
	bits := math.Float64bits(c.Value[last])
	if t := schemas.ValueType(c.Type[last]); t == schemas.Integer || t == schemas.Boolean {
		bits = uint64(c.Integer[last])
	}
	low, high := c.rank(last, partition)
	p := binary.BigEndian.AppendUint64(d.packed[:0], high)
	p = binary.BigEndian.AppendUint64(p, low)
	p = binary.LittleEndian.AppendUint64(append(p, c.Type[last]), bits)
	d.packed = append(p, c.Text.Values[c.Text.Index[last]]...)
	d.Latest.addBytes(d.packed)
}
