package readings

import (
	"bytes"
	"unsafe"

	"github.com/fieldlog/fieldlog/schemas"
)

// Duplicates are the columns of table duplicates for one month: records that repeat an earlier one and have no other rows. All
// have the same number of rows.
type Duplicates struct {
	// Month is that of every row's Appended.
	Month Month
	// Client and Device are from the record's key.
	Client, Device Coded
	// EventID is the sender's own.
	EventID Texts
	// Appended is the record's timestamp, in microseconds since the Unix epoch.
	Appended []int64
	// Offset tells which record of the partition, Original which one it repeats.
	Offset, Original []int64

	span span
}

// Duplicate is a record that repeats an earlier one of its partition.
type Duplicate struct {
	Offset, Original int64
	Key, EventID     []byte
	Appended         schemas.Time
}

// AddDuplicate folds a record that is a duplicate into the block. It copies what it keeps.
func (b *Block) AddDuplicate(d Duplicate) {
	d.Appended = min(max(d.Appended, MinTime), MaxTime)
	group := b.duplicatesAt(int64(d.Appended))
	client, device, _ := bytes.Cut(d.Key, []byte("/"))
	group.Client.Index = append(group.Client.Index, group.Client.id(view(client)))
	group.Device.Index = append(group.Device.Index, group.Device.id(view(device)))
	group.EventID.addBytes(d.EventID)
	group.Appended = append(group.Appended, int64(d.Appended))
	group.Offset = append(group.Offset, d.Offset)
	group.Original = append(group.Original, d.Original)
}

func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (b *Block) duplicatesAt(t int64) *Duplicates {
	for _, group := range b.Duplicates {
		if group.span.holds(t) {
			return group
		}
	}
	b.Duplicates = reuse(b.Duplicates)
	group := b.Duplicates[len(b.Duplicates)-1]
	group.reset(spanOf(t))
	return group
}

// Rows returns the number of rows.
func (c *Duplicates) Rows() int { return len(c.Offset) }

// reset empties the columns for another month. Their memory is used again.
func (c *Duplicates) reset(s span) {
	c.Client.reset()
	c.Device.reset()
	c.EventID.reset()
	c.Appended, c.Offset, c.Original = c.Appended[:0], c.Offset[:0], c.Original[:0]
	c.Month, c.span = s.month, s
}

// duplicateBytes is the memory of a row beside its texts.
const duplicateBytes = 2*4 + 3*8

func (c *Duplicates) bytes() int {
	return len(c.Offset)*duplicateBytes + c.Client.texts.size + c.Device.texts.size + len(c.EventID.Packed)
}
