package deadletters

import (
	"crypto/sha256"
	"math"

	"github.com/fieldlog/fieldlog/schemas"
)

// State tells what became of a letter.
type State uint8

// The states.
const (
	Open State = iota
	Redriven
	Discarded
)

// String returns the word for it.
func (s State) String() string { return [...]string{"open", "redriven", "discarded", "?"}[min(s, 3)] }

// ID is a digest of a letter's event id.
type ID [16]byte

// IDOf returns the digest of an event id.
func IDOf(eventID string) ID { return digest([]byte(eventID)) }

// Lane is a digest of topic and key. Letters of one lane keep their order; those of the zero Lane, without a key, have none.
type Lane [16]byte

func laneOf(d *schemas.DeadLetter) Lane {
	if len(d.Key) == 0 {
		return Lane{}
	}
	return Lane(digest(append(append([]byte(d.Topic), 0), d.Key...)))
}

func sizeOf(d *schemas.DeadLetter) int32 {
	return int32(min(max(d.Size, int64(len(d.Key)+len(d.Value))), math.MaxInt32))
}

func digest(text []byte) (d [16]byte) {
	sum := sha256.Sum256(text)
	copy(d[:], sum[:])
	return d
}

// Letter is what is known of a letter beside its bytes.
type Letter struct {
	// ID tells it apart.
	ID ID
	// Lane tells which letters it keeps its order with.
	Lane Lane
	// Offset is where it was told first.
	Offset int64
	// Size is the length of its record's key and value, as far as they are known.
	Size int32
	// Attempt counts the redrives of its record before it.
	Attempt int32
	// State tells what became of it.
	State State

	rank int64 // the offset of the first letter of its record, -1 if that is no longer in the log
}

// Fold is the state of one partition. The zero Fold has seen nothing.
type Fold struct {
	letters []Letter // in the order of their offsets
	byID    map[ID]int
	next    int64 // events before it are folded
}

// Apply folds the event at an offset, later than all before, and tells whether it changed anything. It keeps nothing of the event.
func (f *Fold) Apply(offset int64, event schemas.Event) bool {
	if offset < f.next {
		return false
	}
	f.next = offset + 1
	switch e := event.(type) {
	case *schemas.DeadLetter:
		return f.told(offset, e)
	case *schemas.DeadLetterRedriven:
		return f.decided(e.Letter, Redriven)
	case *schemas.DeadLetterDiscarded:
		return f.decided(e.Letter, Discarded)
	}
	return false
}

func (f *Fold) told(offset int64, d *schemas.DeadLetter) bool {
	l := Letter{ID: IDOf(d.EventID), Offset: offset, Lane: laneOf(d), Size: sizeOf(d), rank: offset}
	if _, known := f.byID[l.ID]; known {
		return false
	}
	if redrives := schemas.Redrives(d.Headers); len(redrives) > 0 {
		l.Attempt, l.rank = int32(len(redrives)), f.rank(redrives, l.Lane)
	}
	if f.byID == nil {
		f.byID = map[ID]int{}
	}
	f.byID[l.ID] = len(f.letters)
	f.letters = append(f.letters, l)
	return true
}

// rank returns that of the oldest letter of a record which is still known.
func (f *Fold) rank(redrives []schemas.Redrive, of Lane) int64 {
	for _, r := range redrives {
		if i, known := f.byID[IDOf(r.Letter)]; known && f.letters[i].Lane == of {
			return f.letters[i].rank
		}
	}
	return -1
}

func (f *Fold) decided(letter string, as State) bool {
	i, known := f.byID[IDOf(letter)]
	if !known || f.letters[i].State != Open {
		return false
	}
	f.letters[i].State = as
	return true
}

// Letters returns every letter, in the order of their offsets. They are the fold's own: valid until the next Apply.
func (f *Fold) Letters() []Letter { return f.letters }
