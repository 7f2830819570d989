package readings

import "github.com/fieldlog/fieldlog/schemas"

// Block is a run of one partition's records as columns. Its zero value is empty and ready. It belongs to one goroutine.
type Block struct {
	// Readings, Reports and Duplicates have a group a month, in the order of first appearance. No group is empty.
	Readings   []*Readings
	Reports    []*Reports
	Duplicates []*Duplicates

	reading *Readings // the month of the last reading
	report  *Reports  // the month of the last report
}

// Add folds the report at an offset into the block. A *Violation says which rule it breaks; the block is then as it was.
func (b *Block) Add(offset int64, r *schemas.TelemetryReported) error {
	if err := b.check(r); err != nil {
		return err
	}
	b.reportsAt(int64(r.ReceivedTime)).add(offset, r)
	for first := 0; first < len(r.Readings); {
		group := b.readingsAt(int64(r.Readings[first].Time))
		end := first + 1
		for end < len(r.Readings) && group.span.holds(int64(r.Readings[end].Time)) {
			end++
		}
		group.add(offset, r, first, r.Readings[first:end])
		first = end
	}
	return nil
}

// Rows returns the number of rows, those of all tables together.
func (b *Block) Rows() int {
	n := 0
	for _, group := range b.Readings {
		n += group.Rows()
	}
	for _, group := range b.Reports {
		n += group.Rows()
	}
	for _, group := range b.Duplicates {
		n += group.Rows()
	}
	return n
}

// Bytes returns roughly the memory of the rows.
func (b *Block) Bytes() int {
	n := 0
	for _, group := range b.Readings {
		n += group.bytes()
	}
	for _, group := range b.Reports {
		n += group.bytes()
	}
	for _, group := range b.Duplicates {
		n += group.bytes()
	}
	return n
}

// Groups returns the number of groups, which is the number of inserts the block takes.
func (b *Block) Groups() int { return len(b.Readings) + len(b.Reports) + len(b.Duplicates) }

// keptGroups bounds the groups of each kind whose memory an empty block keeps.
const keptGroups = 2

// Reset empties the block. Everything that points into it becomes invalid; its memory is used again.
func (b *Block) Reset() {
	b.Readings, b.Reports, b.Duplicates = drop(b.Readings), drop(b.Reports), drop(b.Duplicates)
	b.reading, b.report = nil, nil
}

// drop returns an empty slice with the first groups behind its end, where reuse finds them.
func drop[T any](groups []*T) []*T {
	clear(groups[min(keptGroups, cap(groups)):cap(groups)])
	return groups[:0]
}

// reuse appends a group: one that was dropped if there is one.
func reuse[T any](groups []*T) []*T {
	if n := len(groups); n < cap(groups) && groups[:n+1][n] != nil {
		return groups[:n+1]
	}
	return append(groups, new(T))
}

func (b *Block) readingsAt(t int64) *Readings {
	if b.reading != nil && b.reading.span.holds(t) {
		return b.reading
	}
	for _, group := range b.Readings {
		if group.span.holds(t) {
			b.reading = group
			return group
		}
	}
	b.Readings = reuse(b.Readings)
	b.reading = b.Readings[len(b.Readings)-1]
	b.reading.reset(spanOf(t))
	return b.reading
}

func (b *Block) reportsAt(t int64) *Reports {
	if b.report != nil && b.report.span.holds(t) {
		return b.report
	}
	for _, group := range b.Reports {
		if group.span.holds(t) {
			b.report = group
			return group
		}
	}
	b.Reports = reuse(b.Reports)
	b.report = b.Reports[len(b.Reports)-1]
	b.report.reset(spanOf(t))
	return b.report
}
