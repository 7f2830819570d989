package readings

import "encoding/binary"

// Source is the partition whose records a block holds. In a table that keeps no offsets it leaves a mark: a row that is stored
// with the rows it vouches for and tells how far the partition is in the table. The mark comes first, has no client and no device,
// which no reading lacks; its metric is the source's name, its time the beginning of the month. Marks of one source and month merge into the
// latest: a block is in the table, for this month, if the mark there is at its last offset or beyond.
type Source struct {
	// Name is unique among the sources of a table, for ever.
	Name      string
	Partition uint32
	// Last is the offset of the block's last record.
	Last int64
}

// mark is a source's mark for one month.
type mark struct {
	client, device, metric uint32 // as the dictionaries of the readings have them
	month                  int64  // its beginning in microseconds since the Unix epoch
	last                   int64
}

func (c *Readings) mark(of Source) mark {
	return mark{client: c.Client.id(""), device: c.Device.id(""), metric: c.Metric.id(of.Name), month: c.span.from, last: of.Last}
}

// mark begins the rows with a mark. Its Latest is the offset as a number.
func (r *Rollup) mark(m mark) {
	var latest [32]byte
	binary.LittleEndian.PutUint64(latest[:], uint64(m.last))
	r.Client, r.Device, r.Metric = append(r.Client, m.client), append(r.Device, m.device), append(r.Metric, m.metric)
	r.Time = append(r.Time, uint32(m.month/1_000_000))
	r.Count, r.Min, r.Max, r.Sum = append(r.Count, 0), append(r.Min, 0), append(r.Max, 0), append(r.Sum, 0)
	r.Latest = append(r.Latest, latest)
}

// mark begins the rows with a mark. Its Latest is the offset in eight big-endian bytes.
func (d *Devices) mark(m mark) {
	d.Client, d.Device, d.Metric = append(d.Client, m.client), append(d.Device, m.device), append(d.Metric, m.metric)
	d.Time, d.Received = append(d.Time, m.month), append(d.Received, m.month)
	d.packed = binary.BigEndian.AppendUint64(d.packed[:0], uint64(m.last))
	d.Latest.addBytes(d.packed)
}
