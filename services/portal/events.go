package portal

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/story"
	"github.com/fieldlog/fieldlog/schemas"
)

// eventBrowser is the page of a topic's events.
type eventBrowser struct {
	Topics    []eventlog.TopicSpec
	Topic     string
	Key       string
	From      string
	Partition string
	Limit     int
	Lines     []shownLine
	Wrong     string
	Follow    string // the address of the stream
}

// shownLine is a record as it is shown.
type shownLine struct {
	line
	Words story.Words
	Kind  string
}

const maxLines = 200

func (p *Portal) browseEvents(v *visit) error {
	q := v.r.URL.Query()
	data := eventBrowser{
		Topics: eventlog.Topics(), Topic: q.Get("topic"), Key: q.Get("key"), From: q.Get("from"), Partition: q.Get("partition"), Limit: 50,
	}
	if data.Topic == "" {
		data.Topic = string(eventlog.TopicOrders)
	}
	if data.From == "" {
		data.From = "-1h"
	}
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && n >= 1 && n <= maxLines {
		data.Limit = n
	}
	query := data.query()
	follow := data.query()
	follow.Set("topic", data.Topic)
	data.Follow = "/events/live?" + follow.Encode()
	query.Set("limit", strconv.Itoa(data.Limit))
	query.Set("from", data.From)
	lines, err := p.api.events(v.r.Context(), data.Topic, query)
	if err != nil {
		data.Wrong = err.Error()
	}
	for _, l := range lines {
		data.Lines = append(data.Lines, showLine(l))
	}
	status := http.StatusOK
	if data.Wrong != "" {
		status = http.StatusBadRequest
	}
	return v.showAs(status, "events", "Events", data)
}

// query is what the gateway is asked, without where to begin.
func (b eventBrowser) query() url.Values {
	query := url.Values{}
	if b.Key != "" {
		query.Set("key", b.Key)
	}
	if b.Partition != "" {
		query.Set("partition", b.Partition)
	}
	return query
}

func showLine(l line) shownLine {
	s := shownLine{line: l, Kind: l.Subject}
	for _, kind := range schemas.Kinds() {
		if string(kind.Subject) == l.Subject {
			s.Kind = kind.Fact
		}
	}
	s.Words = story.Describe(s.Kind, l.Event)
	if l.Subject == "" {
		s.Words = story.Words{Title: "No event: " + l.Reason, Detail: l.Detail, Tone: story.Bad}
	}
	return s
}

// followEvents passes on what is appended to a topic from now on, or behind what the browser had when its last stream ended, each as a
// piece of the page.
func (p *Portal) followEvents(v *visit) error {
	q := v.r.URL.Query()
	topic, after := q.Get("topic"), cmp.Or(v.r.Header.Get("Last-Event-ID"), q.Get("after"))
	s, ctx, done, err := p.stream(v)
	if err != nil {
		return err
	}
	defer done()
	query := eventBrowser{Key: q.Get("key"), Partition: q.Get("partition")}.query()
	gateway, err := p.api.follow(ctx, "/v1/topics/"+url.PathEscape(topic)+"/events", query, after)
	if err != nil {
		return err
	}
	defer gateway.Close()
	if err = s.begin(); err == nil {
		err = p.passOn(s, gateway)
	}
	if err != nil && ctx.Err() == nil {
		p.logger.Debug("following a topic ended", "topic", topic, "error", err)
		_ = s.event("", "problem", err.Error()) // a browser that is gone needs no reason
	}
	return nil
}

// passOn sends the browser what the gateway tells, until one of them ends.
func (p *Portal) passOn(s *stream, gateway io.Reader) error {
	for m, err := range messages(gateway) {
		switch {
		case err != nil:
			return err
		case m.data != nil:
			err = p.passRecord(s, m)
		case m.id != "":
			err = s.event(m.id, "begin", "now")
		default:
			err = s.beat()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Portal) passRecord(s *stream, m message) error {
	var l line
	if err := json.Unmarshal(m.data, &l); err != nil {
		return err
	}
	var text strings.Builder
	if err := p.pages["events"].ExecuteTemplate(&text, "line", showLine(l)); err != nil {
		return err
	}
	return s.event(m.id, "record", text.String())
}
