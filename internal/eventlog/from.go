package eventlog

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// From says where to begin to read.
type From struct {
	kind   fromKind
	offset Offset
	time   time.Time
}

type fromKind uint8

const (
	fromStart fromKind = iota
	fromEnd
	fromOffset
	fromTime
)

// FromStart begins with the oldest record still held.
func FromStart() From { return From{} }

// FromEnd begins with the next record to be written.
func FromEnd() From { return From{kind: fromEnd} }

// FromOffset begins with the record at o, or the oldest still held after it.
func FromOffset(o Offset) From { return From{kind: fromOffset, offset: o} }

// FromTime begins with the first record whose timestamp is t or later.
func FromTime(t time.Time) From { return From{kind: fromTime, time: t} }

// ParseFrom reads what a user writes: start, end, an offset, a time (RFC 3339), a date, or how long before now (-15m).
func ParseFrom(text string, now time.Time) (From, error) {
	switch text {
	case "start":
		return FromStart(), nil
	case "end":
		return FromEnd(), nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 {
		return FromOffset(Offset(offset)), nil
	}
	if t, ok := ParseTime(text, now); ok {
		return FromTime(t), nil
	}
	return From{}, fmt.Errorf("%q is not start, end, an offset, a time like 2026-11-24T04:00:00Z, a date, or a duration ago like -15m", text)
}

// ParseTime reads a time (RFC 3339), a date, or how long before now (-15m).
func ParseTime(text string, now time.Time) (t time.Time, ok bool) {
	if ago, err := time.ParseDuration(text); err == nil && ago < 0 {
		return now.Add(ago), true
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// in returns the offset to begin with in each of the given partitions.
func (f From) in(ctx context.Context, l *Log, topic Topic, ends map[Partition]Range) (map[Partition]Offset, error) {
	begin := make(map[Partition]Offset, len(ends))
	for p, r := range ends {
		switch f.kind {
		case fromStart:
			begin[p] = r.First
		case fromOffset:
			begin[p] = r.clamp(f.offset)
		default:
			begin[p] = r.Next
		}
	}
	if f.kind != fromTime {
		return begin, nil
	}
	after, err := l.OffsetsAt(ctx, topic, f.time)
	if err != nil {
		return nil, err
	}
	for p, r := range ends {
		if found, ok := after[p]; ok {
			begin[p] = r.clamp(found)
		}
	}
	return begin, nil
}
