package duplicates

import (
	"math"
	"unsafe"

	"github.com/fieldlog/fieldlog/schemas"
)

// Window is the fold of one partition. It belongs to one goroutine.
//
// Its entries stand in a ring in the order of their offsets, and leave it at the front. An index with open addressing leads
// from a report to its last entry.
type Window struct {
	limits    Limits
	ages      int64 // Limits.Age and what Slack adds to it, in seconds
	slack     int64
	ring      []entry
	front     int // slot of the oldest entry
	count     int
	index     []uint32 // slots + 1 of each report's last entry; a power of two, at least twice the ring
	newest    int64    // offset of the newest entry
	shortened uint64
}

// entry is a record that took part.
type entry struct {
	id     ID
	offset uint32 // its last 32 bits
	second uint32
	back   uint32 // distance in offsets to the first record of the report; 0 for the first itself
}

const firstRing = 512 // entries

// New returns an empty window.
func New(l Limits) *Window {
	l = l.WithDefaults()
	return &Window{limits: l, ages: int64(l.Age.Seconds()), slack: int64(Slack.Seconds())}
}

// Add folds the record at an offset, greater than all before, and tells whether it is a duplicate. original is then the
// first record of the report, as far as its records lie within the window one of the other and this Window has seen them;
// otherwise it is the offset itself. The last record may be added again: it gets the same answer.
func (w *Window) Add(id ID, offset int64, t schemas.Time) (original int64, duplicate bool) {
	if w.count > 0 && offset == w.newest {
		return w.Decided(id, offset)
	}
	second := seconds(t)
	w.leave(offset, second)
	at, known := w.find(id)
	var back uint32
	if known {
		if e := &w.ring[w.index[at]-1]; w.within(e, offset, second) {
			back, duplicate = w.distance(e, offset), true
			if first := uint64(back) + uint64(e.back); first <= math.MaxUint32 {
				back = uint32(first)
			}
		}
	}
	w.push(entry{id: id, offset: uint32(offset), second: second, back: back})
	w.newest = offset
	return offset - int64(back), duplicate
}

// Find tells whether a record that were added next, at an offset and a time, would be a duplicate, and of which record.
func (w *Window) Find(id ID, offset int64, t schemas.Time) (original int64, duplicate bool) {
	at, known := w.find(id)
	if !known || offset-w.newest >= farthest {
		return 0, false
	}
	e := &w.ring[w.index[at]-1]
	if !w.within(e, offset, seconds(t)) {
		return 0, false
	}
	return offset - int64(w.distance(e, offset)) - int64(e.back), true
}

// Decided tells what was decided about the record of a report at an offset, whatever was added since.
func (w *Window) Decided(id ID, offset int64) (original int64, duplicate bool) {
	at, known := w.find(id)
	if !known {
		return offset, false
	}
	e := &w.ring[w.index[at]-1]
	last := w.newest - int64(w.distance(e, w.newest))
	if original = last - int64(e.back); original < offset && offset <= last {
		return original, true
	}
	return offset, false
}

// Entries returns the number of records remembered.
func (w *Window) Entries() int { return w.count }

// Bytes returns the memory of the entries and their index.
func (w *Window) Bytes() int {
	return cap(w.ring)*int(unsafe.Sizeof(entry{})) + 4*cap(w.index)
}

// Shortened counts the records that were forgotten within the window because Limits.Entries was reached.
func (w *Window) Shortened() uint64 { return w.shortened }

// distance is exact below 2^32: leave keeps entries nearer than 2^31, and Find refuses offsets farther than that again.
func (w *Window) distance(e *entry, offset int64) uint32 { return uint32(offset) - e.offset }

// within tells whether an entry is in the window of a record.
func (w *Window) within(e *entry, offset int64, second uint32) bool {
	return int64(w.distance(e, offset)) <= w.limits.Reports || int64(second)-int64(e.second) <= w.ages
}

// leave drops the oldest entries that are in the window of no record from this offset on.
func (w *Window) leave(offset int64, second uint32) {
	gap := offset - w.newest
	for w.count > 0 {
		e := &w.ring[w.front]
		far := gap >= farthest || w.distance(e, offset) >= farthest
		due := int64(w.distance(e, offset)) > w.limits.Reports && int64(second)-int64(e.second) > w.ages+w.slack
		if !far && !due {
			return
		}
		w.drop()
	}
}

// drop forgets the oldest entry.
func (w *Window) drop() {
	if at, known := w.find(w.ring[w.front].id); known && int(w.index[at]) == w.front+1 {
		w.unlink(at)
	}
	w.count--
	if w.front++; w.front == len(w.ring) {
		w.front = 0
	}
}

// push appends an entry and makes it its report's last.
func (w *Window) push(e entry) {
	switch {
	case w.count == w.limits.Entries:
		w.drop()
		w.shortened++
	case w.count == len(w.ring):
		w.grow()
	}
	slot := w.front + w.count
	if slot >= len(w.ring) {
		slot -= len(w.ring)
	}
	w.ring[slot] = e
	w.count++
	at, _ := w.find(e.id)
	w.index[at] = uint32(slot) + 1
}
