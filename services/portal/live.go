package portal

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/pause"
)

const (
	streamAge  = 30 * time.Minute // a stream ends, so that a session is looked at again; browsers come back by themselves
	streamStep = 300 * time.Millisecond
	streamBeat = 15 * time.Second
)

// stream is an answer of server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// stream reserves one, or refuses when there are too many; begin opens it. Its context ends with the browser's, with the portal's, or
// with its age.
func (p *Portal) stream(v *visit) (*stream, context.Context, func(), error) {
	if !p.streams.TryAcquire(1) {
		v.w.Header().Set("Retry-After", "10")
		return nil, nil, nil, fail(http.StatusTooManyRequests, "Too many pages follow what happens. Load the page again to see what is new.")
	}
	p.metrics.streams.Inc()
	ctx, cancel := context.WithTimeout(v.r.Context(), streamAge)
	stop := context.AfterFunc(p.serving, cancel)
	s := &stream{w: v.w, control: http.NewResponseController(v.w)}
	_ = s.control.SetReadDeadline(time.Time{}) // not every writer has one
	return s, ctx, func() {
		stop()
		cancel()
		p.metrics.streams.Dec()
		p.streams.Release(1)
	}, nil
}

// begin sends the header. Before it, what is wrong can be answered with its status.
func (s *stream) begin() error {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // proxies pass it on as it comes
	return s.send("retry: 2000\n\n")
}

func (s *stream) send(text string) error {
	_ = s.control.SetWriteDeadline(time.Now().Add(30 * time.Second)) // not every writer has one
	if _, err := fmt.Fprint(s.w, text); err != nil {
		return err
	}
	return s.control.Flush()
}

// beat is a sign of life, which browsers skip.
func (s *stream) beat() error { return s.send(": still here\n\n") }

// event sends one, a line of it for each line of its data. Browsers that connect again bring the last id back that is not empty.
func (s *stream) event(id, name, data string) error {
	lines := strings.NewReplacer("\r\n", "\ndata: ", "\n", "\ndata: ", "\r", "\ndata: ").Replace(data)
	text := "event: " + name + "\ndata: " + lines + "\n\n"
	if id != "" {
		text = "id: " + id + "\n" + text
	}
	return s.send(text)
}

// live tells a page that what it shows has changed, at most about three times a second, and says in words what has.
func (p *Portal) live(v *visit) error {
	path := "/v1/clients"
	if name := v.r.URL.Query().Get("client"); name != "" {
		path += "/" + url.PathEscape(name) + "/events"
	}
	s, ctx, done, err := p.stream(v)
	if err != nil {
		return err
	}
	defer done()
	err = s.begin()
	news := make(chan string, 1)
	go p.watch(ctx, path, news)
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-beat.C:
			err = s.beat()
		case said := <-news:
			if err = s.event("", "change", "now"); err == nil && said != "" {
				err = s.event("", "said", html.EscapeString(said))
			}
			pause.For(ctx, streamStep)
		}
	}
	return nil
}

// watch puts the newest news into the channel until ctx ends. That it has begun to watch is news as well: what happened since the
// page was made, or while the gateway was away, is not on it.
func (p *Portal) watch(ctx context.Context, path string, news chan string) {
	tell := func(text string) {
		select {
		case <-news: // it was not told yet, and is old
		default:
		}
		news <- text // there is room: nobody else writes
	}
	for ctx.Err() == nil {
		err := p.listen(ctx, path, tell)
		if ctx.Err() == nil {
			p.logger.Debug("the stream of the gateway ended", "error", err)
			pause.For(ctx, 2*time.Second)
		}
	}
}

// listen tells that it has begun, and then each change in words, until the gateway's stream ends.
func (p *Portal) listen(ctx context.Context, path string, tell func(string)) error {
	gateway, err := p.api.follow(ctx, path, nil, "")
	if err != nil {
		return err
	}
	defer gateway.Close()
	tell("")
	known := path == "/v1/clients" // a client's stream begins with the state as it is, which is no change to put into words
	for m, err := range messages(gateway) {
		if err != nil {
			return err
		}
		if m.data == nil {
			continue
		}
		var c client
		if err := json.Unmarshal(m.data, &c); err != nil {
			return err
		}
		if known {
			tell(c.words())
		}
		known = true
	}
	return nil
}

// words say what changed last of a client.
func (c client) words() string {
	var last order
	for _, o := range c.Orders {
		if o.Last().After(last.Last()) {
			last = o
		}
	}
	if last.OrderID == "" {
		return ""
	}
	text := fmt.Sprintf("%s of %s in %s is %s", last.Product, c.Client, last.Namespace, last.Status)
	if last.Moving() {
		text += fmt.Sprintf(", step %d of %d", last.Step, last.Steps)
	}
	return text
}
