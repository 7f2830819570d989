package portal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
)

// message is a server-sent event of the gateway. One without data is a sign of life; it may have an id, which tells where the stream
// begins.
type message struct {
	id   string
	data []byte
}

// maxMessage bounds a line of a message, in bytes.
const maxMessage = 2 << 20

// follow opens a stream of everything that happens from now on, or behind the message with an id. Close it.
func (a *api) follow(ctx context.Context, path string, query url.Values, after string) (io.ReadCloser, error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	if after != "" {
		header.Set("Last-Event-ID", after)
	}
	res, err := a.send(ctx, call{method: http.MethodGet, path: path, query: query, header: header})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// messages yields what a stream brings, until it ends, which is no error, or breaks off: the last thing is an error then, the
// gateway's own if it told one. A message belongs to the caller.
func messages(stream io.Reader) iter.Seq2[message, error] {
	return func(yield func(message, error) bool) {
		lines := bufio.NewScanner(stream)
		lines.Buffer(nil, maxMessage)
		var m message
		var kind string
		for lines.Scan() {
			if len(lines.Bytes()) > 0 {
				m.field(lines.Bytes(), &kind)
				continue
			}
			if kind == "problem" {
				yield(message{}, problemOf(m.data))
				return
			}
			if !yield(m, nil) {
				return
			}
			m, kind = message{}, ""
		}
		if err := lines.Err(); err != nil {
			yield(message{}, &unreachable{fmt.Errorf("follow the gateway: %w", err)})
		}
	}
}

// field takes a line of a message. The gateway's messages have one line of data.
func (m *message) field(line []byte, kind *string) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "id":
		m.id = string(value)
	case "event":
		*kind = string(value)
	case "data":
		m.data = bytes.Clone(value)
	}
}

// problemOf returns why the gateway broke a stream off.
func problemOf(data []byte) error {
	var told struct {
		Problem *refused `json:"problem"`
	}
	if err := json.Unmarshal(data, &told); err != nil || told.Problem == nil {
		return &refused{Status: http.StatusBadGateway, Detail: "the gateway broke off, and does not say why"}
	}
	return told.Problem
}
