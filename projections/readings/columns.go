package readings

import "github.com/fieldlog/fieldlog/schemas"

// Readings are the columns of table readings for one month. All have the same number of rows.
type Readings struct {
	// Month is that of every row's Time.
	Month Month
	// Client, Device, Metric and Unit are as reported; Text is the value of a text, empty for other types.
	Client, Device, Metric, Unit, Text Coded
	// Time and Received are microseconds since the Unix epoch.
	Time, Received []int64
	// Type is the schemas.ValueType.
	Type []uint8
	// Value is the value as trends see it, see schemas.Value.Number.
	Value []float64
	// Integer is the exact value of an integer, 0 or 1 for a boolean, 0 for other types.
	Integer []int64
	// Offset and Index tell which record of the partition, and which reading in it.
	Offset []int64
	Index  []uint32
	// Summary is what the rows add to the derived tables, see Block.Summarize.
	Summary Summary

	span  span
	hints []hint
	order order
}

// hint remembers the numbers that the texts of the reading at the same place in the last report got: devices of a
// kind report the same metrics in the same order, so that comparing replaces looking up.
type hint struct{ metric, unit, text uint32 }

// Rows returns the number of rows.
func (c *Readings) Rows() int { return len(c.Time) }

// add appends the readings of r from the index first on; all are of this month.
func (c *Readings) add(offset int64, r *schemas.TelemetryReported, first int, list []schemas.Reading) {
	at, n := len(c.Time), len(list)
	c.extend(n)
	fill(c.Client.Index[at:], c.Client.id(r.Client))
	fill(c.Device.Index[at:], c.Device.id(r.Device))
	fill(c.Received[at:], int64(r.ReceivedTime))
	fill(c.Offset[at:], offset)
	if missing := first + n - len(c.hints); missing > 0 {
		c.hints = append(c.hints, make([]hint, missing)...)
	}
	hints, index := c.hints[first:], c.Index[at:]
	times, types, values, integers := c.Time[at:], c.Type[at:], c.Value[at:], c.Integer[at:]
	for i := range list {
		v := list[i].Value
		times[i], types[i] = int64(list[i].Time), uint8(v.Type())
		values[i], integers[i], index[i] = v.Number(), exact(v), uint32(first+i)
		c.name(at+i, &hints[i], &list[i])
	}
}

// exact returns the value of an integer or a boolean.
func exact(v schemas.Value) int64 {
	if v.Type() == schemas.Integer || v.Type() == schemas.Boolean {
		return v.Integer()
	}
	return 0
}

// name sets the coded columns of row i.
func (c *Readings) name(i int, h *hint, r *schemas.Reading) {
	if !c.Metric.is(h.metric, r.Metric) {
		h.metric = c.Metric.id(r.Metric)
	}
	if !c.Unit.is(h.unit, r.Unit) {
		h.unit = c.Unit.id(r.Unit)
	}
	if text := r.Value.Text(); !c.Text.is(h.text, text) {
		h.text = c.Text.id(text)
	}
	c.Metric.Index[i], c.Unit.Index[i], c.Text.Index[i] = h.metric, h.unit, h.text
}

// extend makes room for n more rows, whose cells hold anything.
func (c *Readings) extend(n int) {
	for _, coded := range c.coded() {
		coded.Index = extend(coded.Index, n)
	}
	c.Time, c.Received, c.Offset = extend(c.Time, n), extend(c.Received, n), extend(c.Offset, n)
	c.Value, c.Integer = extend(c.Value, n), extend(c.Integer, n)
	c.Type, c.Index = extend(c.Type, n), extend(c.Index, n)
}

func (c *Readings) coded() [5]*Coded {
	return [5]*Coded{&c.Client, &c.Device, &c.Metric, &c.Unit, &c.Text}
}

// reset empties the columns for another month. Their memory is used again.
func (c *Readings) reset(s span) {
	for _, coded := range c.coded() {
		coded.reset()
	}
	c.Time, c.Received, c.Offset = c.Time[:0], c.Received[:0], c.Offset[:0]
	c.Value, c.Integer = c.Value[:0], c.Integer[:0]
	c.Type, c.Index = c.Type[:0], c.Index[:0]
	c.Month, c.span = s.month, s
	clear(c.hints)
}

// rowBytes is the memory of a row beside its texts.
const rowBytes = 5*4 + 5*8 + 1 + 4

func (c *Readings) bytes() int {
	n := len(c.Time) * rowBytes
	for _, coded := range c.coded() {
		n += coded.texts.size
	}
	return n
}

func extend[T any](s []T, n int) []T {
	if want := len(s) + n; want <= cap(s) {
		return s[:want]
	}
	return append(s, make([]T, n)...)
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}
