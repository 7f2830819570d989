package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// question is what a reader asks for.
type question struct {
	options eventlog.ReadOptions
	group   eventlog.Group // empty without one
	keys    eventlog.Keys
	limit   int           // 0 is none
	wait    time.Duration // for the first record, where there is none
	sse     bool
	last    bookmark // where a reader of server-sent events was; its topic id is zero without one
}

// maxWait bounds how long a reader may wait for a first record.
const maxWait = 5 * time.Minute

// fetchBytes is what a reader takes from each broker at a time, so that many readers hold little memory.
const fetchBytes = 1 << 20

// questionOf reads a request for records.
func questionOf(r *http.Request, now time.Time) (*question, *problem) {
	topic, wrong := topicOf(r)
	if wrong != nil {
		return nil, wrong
	}
	query := r.URL.Query()
	q := &question{
		options: eventlog.ReadOptions{Topic: topic, MaxFetch: fetchBytes},
		keys:    eventlog.Keys{Key: query.Get("key"), Client: query.Get("client"), Device: query.Get("device")},
	}
	for _, read := range []func(url.Values) error{
		q.readKnown, func(v url.Values) error { return q.readForm(v, r.Header) }, q.readFollow, q.readWait, q.readLimit, q.readPartitions,
		func(v url.Values) error { return q.readFrom(v, now) },
		func(v url.Values) error { return q.readGroup(v, r.Header.Get("Last-Event-ID")) },
	} {
		if err := read(query); err != nil {
			return nil, newProblem(http.StatusBadRequest, err.Error())
		}
	}
	return q, nil
}

var knownQuestions = []string{"from", "partition", "key", "client", "device", "limit", "follow", "wait", "group", "format", "p"}

// readKnown refuses misspelt names: they would read something else than was meant.
func (q *question) readKnown(query url.Values) error {
	for name := range query {
		found := false
		for _, known := range knownQuestions {
			found = found || name == known
		}
		if !found {
			return fmt.Errorf("%.100q is not known; there are %s", name, strings.Join(knownQuestions[:len(knownQuestions)-1], ", "))
		}
	}
	return nil
}

func (q *question) readForm(query url.Values, header http.Header) error {
	switch format := query.Get("format"); format {
	case "":
		q.sse = strings.Contains(header.Get("Accept"), "text/event-stream")
	case "sse":
		q.sse = true
	case "ndjson":
	default:
		return fmt.Errorf("format=%.100q is not known; use ndjson or sse", format)
	}
	return nil
}

// readFollow defaults to what clients of each form expect: EventSource reconnects at an end, curl waits for one.
func (q *question) readFollow(query url.Values) (err error) {
	q.options.Follow = q.sse
	if query.Has("follow") {
		if q.options.Follow, err = strconv.ParseBool(query.Get("follow")); err != nil {
			return fmt.Errorf("follow=%.100q is neither true nor false", query.Get("follow"))
		}
	}
	return nil
}

func (q *question) readWait(query url.Values) (err error) {
	if !query.Has("wait") {
		return nil
	}
	if q.options.Follow {
		return fmt.Errorf("wait and follow exclude each other: who follows waits for ever")
	}
	q.wait, err = time.ParseDuration(query.Get("wait"))
	if err != nil || q.wait < 0 || q.wait > maxWait {
		return fmt.Errorf("wait=%.100q is not a duration such as 30s, up to %s", query.Get("wait"), maxWait)
	}
	return nil
}

func (q *question) readLimit(query url.Values) (err error) {
	if !query.Has("limit") {
		return nil
	}
	if q.limit, err = strconv.Atoi(query.Get("limit")); err != nil || q.limit < 1 {
		return fmt.Errorf("limit=%.100q is not a number of records", query.Get("limit"))
	}
	return nil
}

func (q *question) readPartitions(query url.Values) error {
	seen := map[eventlog.Partition]bool{}
	for _, text := range query["partition"] {
		for one := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseInt(one, 10, 32)
			if err != nil || n < 0 {
				return fmt.Errorf("partition=%.100q is no partition", one)
			}
			if p := eventlog.Partition(n); !seen[p] {
				seen[p] = true
				q.options.Partitions = append(q.options.Partitions, p)
			}
		}
	}
	return nil
}

// readFrom defaults to the end for those who follow without a group, and else to the start.
func (q *question) readFrom(query url.Values, now time.Time) (err error) {
	switch {
	case query.Has("from"):
		if q.options.From, err = eventlog.ParseFrom(query.Get("from"), now); err != nil {
			return fmt.Errorf("from=%w", err)
		}
	case q.options.Follow && !query.Has("group"):
		q.options.From = eventlog.FromEnd()
	}
	return nil
}

func (q *question) readGroup(query url.Values, lastEventID string) (err error) {
	if query.Has("group") {
		if q.keys != (eventlog.Keys{}) {
			return fmt.Errorf("a group reads every record, because what it acknowledges covers all before: leave out key, client and device and choose in the worker")
		}
		var wrong *problem
		if q.group, wrong = groupOf(query.Get("group")); wrong != nil {
			return wrong
		}
	}
	if q.sse && lastEventID != "" {
		if q.last, err = parseBookmark(lastEventID); err != nil {
			return fmt.Errorf("header Last-Event-ID: %w", err)
		}
	}
	return nil
}
