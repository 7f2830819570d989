package deadletters

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// Selection chooses letters. Every field that is set must fit; the zero Selection chooses all.
type Selection struct {
	// Letters are event ids of letters, or positions as eventlog.Position writes them: of a letter, or of the record it is about.
	Letters []string
	// Reasons are those of which a letter has one.
	Reasons []schemas.Reason
	// Client and Device are those of the record, by its key.
	Client, Device string
	// Since and Until bound the time at which the letter was written; Until is the first moment that is out.
	Since, Until time.Time

	found map[string]bool // which of Letters there are
}

// Empty tells whether it chooses all letters.
func (s *Selection) Empty() bool {
	return len(s.Letters) == 0 && len(s.Reasons) == 0 && s.Client == "" && s.Device == "" && s.Since.IsZero() && s.Until.IsZero()
}

// Missing returns those of Letters that were not found by what was done with the selection.
func (s *Selection) Missing() []string {
	return slices.DeleteFunc(slices.Clone(s.Letters), func(ref string) bool { return s.found[ref] })
}

func (s *Selection) has(at eventlog.Position, d *schemas.DeadLetter) bool {
	client, device := ClientOf(d)
	written := d.ReceivedTime.Time()
	switch {
	case len(s.Reasons) > 0 && !slices.Contains(s.Reasons, d.Reason),
		s.Client != "" && s.Client != client,
		s.Device != "" && s.Device != device,
		!s.Since.IsZero() && written.Before(s.Since),
		!s.Until.IsZero() && !written.Before(s.Until):
		return false
	}
	return len(s.Letters) == 0 || s.named(at, d)
}

// named tells whether one of Letters is this one.
func (s *Selection) named(at eventlog.Position, d *schemas.DeadLetter) bool {
	any := false
	for _, ref := range s.Letters {
		if ref != d.EventID && ref != at.String() && ref != RecordOf(d).String() {
			continue
		}
		if s.found == nil {
			s.found = map[string]bool{}
		}
		s.found[ref], any = true, true
	}
	return any
}

// ClientOf returns the client and the device in a letter's key, client/device.
func ClientOf(d *schemas.DeadLetter) (client, device string) {
	before, after, _ := bytes.Cut(d.Key, []byte("/"))
	return string(before), string(after)
}

// RecordOf returns where the record of a letter was. Its offset is -1 if the record was refused before it had a position.
func RecordOf(d *schemas.DeadLetter) eventlog.Position {
	return eventlog.Position{Topic: eventlog.Topic(d.Topic), Partition: eventlog.Partition(d.Partition), Offset: eventlog.Offset(d.Offset)}
}

// partitionOf returns the partition in which alone the letter can be that a text names, if the text tells.
func partitionOf(ref string) (p eventlog.Partition, tells bool) {
	position, isLetter := strings.CutPrefix(ref, string(topic)+"/")
	number, _, isPosition := strings.Cut(position, "@")
	n, err := strconv.ParseUint(number, 10, 31)
	return eventlog.Partition(n), isLetter && isPosition && err == nil
}
