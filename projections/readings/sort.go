package readings

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Sort puts the readings of every month in the order of their table: client, device, metric, time, then as they came.
// An insert whose rows are sorted costs the database less, in the table and in each table that is fed by it.
func (b *Block) Sort() {
	for _, group := range b.Readings {
		group.sort()
	}
}

// order is the scratch memory of a sort.
type order struct {
	rows, spare []uint32
	starts      []uint32
	rank        []uint32
	keys        []key
	wide        []int64
	narrow      []uint32
	bytes       []uint8
	floats      []float64
}

// sort orders the rows by counting: first by metric, then by device, then by client, each pass keeping the order of the
// one before. Rows of one series nearly always come in the order of time already.
func (c *Readings) sort() {
	o, n := &c.order, c.Rows()
	o.rows, o.spare = resize(o.rows, n), resize(o.spare, n)
	for i := range o.rows {
		o.rows[i] = uint32(i)
	}
	o.count(&c.Metric)
	o.count(&c.Device)
	o.count(&c.Client)
	c.sortSeries(o.rows)
	for _, coded := range c.coded() {
		coded.Index, o.narrow = gather(o.narrow, coded.Index, o.rows)
	}
	c.Time, o.wide = gather(o.wide, c.Time, o.rows)
	c.Received, o.wide = gather(o.wide, c.Received, o.rows)
	c.Offset, o.wide = gather(o.wide, c.Offset, o.rows)
	c.Integer, o.wide = gather(o.wide, c.Integer, o.rows)
	c.Value, o.floats = gather(o.floats, c.Value, o.rows)
	c.Type, o.bytes = gather(o.bytes, c.Type, o.rows)
	c.Index, o.narrow = gather(o.narrow, c.Index, o.rows)
}

// count orders rows by the text of a column.
func (o *order) count(c *Coded) {
	if len(c.Values) < 2 {
		return
	}
	o.rankValues(c.Values)
	o.starts = resize(o.starts, len(c.Values)+1)
	clear(o.starts)
	for _, id := range c.Index {
		o.starts[o.rank[id]+1]++
	}
	for i := 1; i < len(o.starts); i++ {
		o.starts[i] += o.starts[i-1]
	}
	for _, row := range o.rows {
		place := &o.starts[o.rank[c.Index[row]]]
		o.spare[*place] = row
		*place++
	}
	o.rows, o.spare = o.spare, o.rows
}

// key is a text's first bytes after what all texts share, as a number, and its place in the dictionary.
type key struct {
	head uint64
	id   uint32
}

// rankValues sets rank[id] to the place of values[id] among them in the order of their bytes.
func (o *order) rankValues(values []string) {
	shared := sharedPrefix(values)
	o.keys = resize(o.keys, len(values))
	for id, s := range values {
		o.keys[id] = key{head: head(s[shared:]), id: uint32(id)}
	}
	slices.SortFunc(o.keys, func(a, b key) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return cmp.Compare(values[a.id], values[b.id])
	})
	o.rank = resize(o.rank, len(values))
	for rank, k := range o.keys {
		o.rank[k.id] = uint32(rank)
	}
}

// head returns the first eight bytes of s, zeros after its end, so that heads compare as texts do.
func head(s string) uint64 {
	var b [8]byte
	copy(b[:], s)
	return binary.BigEndian.Uint64(b[:])
}

func sharedPrefix(values []string) int {
	first := values[0]
	n := len(first)
	for _, s := range values[1:] {
		n = min(n, len(s))
		for s[:n] != first[:n] {
			n--
		}
	}
	return n
}

// sortSeries orders the rows of each series by time.
func (c *Readings) sortSeries(rows []uint32) {
	for first := 0; first < len(rows); {
		end, sorted := first+1, true
		for end < len(rows) && c.sameSeries(rows[first], rows[end]) {
			sorted = sorted && c.Time[rows[end-1]] <= c.Time[rows[end]]
			end++
		}
		if !sorted {
			slices.SortStableFunc(rows[first:end], func(a, b uint32) int { return cmp.Compare(c.Time[a], c.Time[b]) })
		}
		first = end
	}
}

func (c *Readings) sameSeries(a, b uint32) bool {
	return c.Metric.Index[a] == c.Metric.Index[b] && c.Device.Index[a] == c.Device.Index[b] && c.Client.Index[a] == c.Client.Index[b]
}

// gather returns column in the order of rows, and column's old memory for the next one.
func gather[T any](spare, column []T, rows []uint32) (ordered, free []T) {
	spare = resize(spare, len(column))
	for i, row := range rows {
		spare[i] = column[row]
	}
	return spare, column
}

// resize returns s with length n; its elements hold anything.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/4)
	}
	return s[:n]
}
