package duplicates

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// Limits say how far back a duplicate is recognised. The zero value of a field means its default.
type Limits struct {
	// Reports is the distance in offsets, Age the distance in time within which a duplicate is recognised, whichever reaches
	// farther. Defaults 1,000,000 and 10 minutes.
	Reports int64
	Age     time.Duration
	// Entries bounds the records remembered, 32 bytes each. Default 4,000,000.
	Entries int
}

// Slack is how far the times of a partition may step back.
const Slack = 5 * time.Minute

// farthest is the greatest distance in offsets, which must fit the half of 32 bits.
const farthest = 1 << 31

// WithDefaults returns the limits with defaults in place of zeros.
func (l Limits) WithDefaults() Limits {
	if l.Reports == 0 {
		l.Reports = 1_000_000
	}
	if l.Age == 0 {
		l.Age = 10 * time.Minute
	}
	if l.Entries == 0 {
		l.Entries = 4_000_000
	}
	return l
}

// Validate names the flag to change.
func (l Limits) Validate() error {
	switch {
	case l.Reports < 0 || l.Reports >= farthest:
		return errors.New("--retry-reports is a number from 1 to 2147483647")
	case l.Age < 0 || l.Age > 0 && l.Age < time.Second || l.Age > 30*24*time.Hour:
		return errors.New("--retry-age is a time from 1s to 720h")
	case l.Entries < 0 || l.Entries >= farthest/2:
		return errors.New("--retry-entries is a number from 1 to 1073741823")
	}
	return nil
}

// Reach returns where the window of a record begins: no record is needed that lies before offset from and is older than
// since.
func (l Limits) Reach(offset int64, t schemas.Time) (from int64, since schemas.Time) {
	back := l.Age + Slack + time.Second // which the cut to whole seconds may take
	return max(0, offset-l.Reports), max(0, t-schemas.Time(back.Microseconds()))
}

// ID stands for a report.
type ID [3]uint32

// Identify returns the ID of the report with a record's key, the source that tells it and the id that it has there.
func Identify(key, source, eventID []byte) ID {
	var room [256]byte
	text := binary.BigEndian.AppendUint32(room[:0], uint32(len(key)))
	text = binary.BigEndian.AppendUint32(text, uint32(len(source)))
	text = append(append(append(text, key...), source...), eventID...)
	sum := sha256.Sum256(text)
	return ID{binary.LittleEndian.Uint32(sum[:]), binary.LittleEndian.Uint32(sum[4:]), binary.LittleEndian.Uint32(sum[8:])}
}

// seconds cuts a time to the seconds that an entry has.
func seconds(t schemas.Time) uint32 {
	return uint32(min(max(int64(t)/1_000_000, 0), math.MaxUint32))
}
