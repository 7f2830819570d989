package gateway

import (
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// bookmark is where a reader is in every partition that it reads: the next offset of each. It is the id of a server-sent event,
// so that a client which connects again goes on behind the last one that it saw, whatever gateway it finds.
type bookmark struct {
	topic eventlog.TopicID
	next  map[eventlog.Partition]eventlog.Offset
}

// String writes it as topic id, colon, and partition=offset after partition=offset, in order.
func (p bookmark) String() string {
	text := append([]byte(p.topic.String()), ':')
	for i, partition := range slices.Sorted(maps.Keys(p.next)) {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(strconv.AppendInt(text, int64(partition), 10), '=')
		text = strconv.AppendInt(text, int64(p.next[partition]), 10)
	}
	return string(text)
}

var errNoBookmark = errors.New("it is no id that a stream of events has given")

// parseBookmark reads what String wrote.
func parseBookmark(text string) (bookmark, error) {
	id, list, found := strings.Cut(text, ":")
	raw, err := hex.DecodeString(id)
	if !found || err != nil || len(raw) != len(eventlog.TopicID{}) {
		return bookmark{}, errNoBookmark
	}
	p := bookmark{topic: eventlog.TopicID(raw), next: map[eventlog.Partition]eventlog.Offset{}}
	for one := range strings.SplitSeq(list, ",") {
		left, right, _ := strings.Cut(one, "=")
		partition, err1 := strconv.ParseInt(left, 10, 32)
		offset, err2 := strconv.ParseInt(right, 10, 64)
		if err1 != nil || err2 != nil || partition < 0 || offset < 0 {
			return bookmark{}, errNoBookmark
		}
		p.next[eventlog.Partition(partition)] = eventlog.Offset(offset)
	}
	return p, nil
}
