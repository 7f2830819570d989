package schemas

import (
	"fmt"
	"strconv"
	"strings"
)

// HeaderRedriven is on a record that was redriven, once for each time, the oldest first. Its value is a Redrive as text.
const HeaderRedriven = "fieldlog-redriven"

// Redrive tells where a record came from that was appended again.
type Redrive struct {
	// Letter is the event id of the dead letter.
	Letter string
	// Topic, TopicID, Partition and Offset are where the record of that letter was.
	Topic     string
	TopicID   string
	Partition int32
	Offset    int64
}

// RedriveOf returns the redrive that begins with a letter.
func RedriveOf(d *DeadLetter) Redrive {
	return Redrive{Letter: d.EventID, Topic: d.Topic, TopicID: d.TopicID, Partition: d.Partition, Offset: d.Offset}
}

// Header returns the header that tells it: "<letter> <topic id> <topic>/<partition>@<offset>".
func (r Redrive) Header() Header {
	return Header{Key: HeaderRedriven, Value: fmt.Appendf(nil, "%s %s %s/%d@%d", r.Letter, r.TopicID, r.Topic, r.Partition, r.Offset)}
}

// Redrives returns the redrives that a record's headers tell of, oldest first. Their number is the number of attempts
// before this one. Headers that are not in the form are no redrives: anybody can send any header.
func Redrives(headers []Header) []Redrive {
	var all []Redrive
	for i := range headers {
		if headers[i].Key != HeaderRedriven {
			continue
		}
		if r, ok := parseRedrive(string(headers[i].Value)); ok {
			all = append(all, r)
		}
	}
	return all
}

func parseRedrive(text string) (r Redrive, ok bool) {
	letter, position, ok := lastCut(text, " ")
	if !ok {
		return r, false
	}
	letter, topicID, ok := lastCut(letter, " ")
	if !ok {
		return r, false
	}
	position, offset, ok := lastCut(position, "@")
	if !ok {
		return r, false
	}
	topic, partition, ok := lastCut(position, "/")
	if !ok {
		return r, false
	}
	p, err := strconv.ParseUint(partition, 10, 31)
	if err != nil {
		return r, false
	}
	o, err := strconv.ParseUint(offset, 10, 63)
	if err != nil {
		return r, false
	}
	return Redrive{Letter: letter, Topic: topic, TopicID: topicID, Partition: int32(p), Offset: int64(o)}, true
}

// lastCut cuts s around the last separator.
func lastCut(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}
