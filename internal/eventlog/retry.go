package eventlog

import (
	"context"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// HeaderRetryable marks, with the value "1", a record whose event id (its header ce_id) is the sender's own: the sender may
// append the same event again under that id, the same ce_source and the same key, and means it to count once. The gateway sets
// it; so may producers in any language that append to the topic themselves. Records without it are never taken for a
// repetition.
const HeaderRetryable = "fieldlog-retryable"

var retryable = []byte("1")

// SenderID is the name that a sender gave an event, within the record's key. It points into the record.
type SenderID struct{ Source, ID []byte }

// SenderID returns what the sender of a record that is marked with HeaderRetryable calls it. own is false for all others, and
// for records that were redriven: who redrives a record has decided that it is to be stored.
func (r *Record) SenderID() (id SenderID, own bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- { // the gateway puts it last
		if r.Headers[i].Key == HeaderRetryable {
			return r.senderID(string(r.Headers[i].Value))
		}
	}
	return id, false
}

func (r *Record) senderID(mark string) (id SenderID, own bool) {
	own = mark == string(retryable)
	for i := range r.Headers {
		switch r.Headers[i].Key {
		case "ce_id":
			id.ID = r.Headers[i].Value
		case "ce_source":
			id.Source = r.Headers[i].Value
		case schemas.HeaderRedriven:
			own = false
		}
	}
	return id, own && len(id.ID) > 0
}

// SourceOf returns the source that an event's records have: its origin, or "fieldlog", because CloudEvents wants one.
func SourceOf(head *schemas.Envelope) string {
	if head.Origin == "" {
		return "fieldlog"
	}
	return head.Origin
}

// FirstSince returns the offset in a partition before which every record lies before the offset from and is older than
// since, or the oldest record still held. It is from, or less, unless that is held no more.
func (l *Log) FirstSince(ctx context.Context, topic Topic, p Partition, from Offset, since time.Time) (Offset, error) {
	ends, err := l.Ends(ctx, topic)
	if err != nil {
		return 0, err
	}
	young, err := FromTime(since).in(ctx, l, topic, ends)
	if err != nil {
		return 0, err
	}
	return max(ends[p].First, min(from, young[p])), nil
}
