package directory

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// wantsEvents tells whether a request asks for server-sent events.
func wantsEvents(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream")
}

// getClientEvents streams one client's state: as it is now, and each time it changes.
func (d *Directory) getClientEvents(w http.ResponseWriter, r *http.Request) {
	d.stream(w, r, r.PathValue("client"))
}

// heartbeat keeps a stream open through what closes idle connections, and finds clients that went away.
const heartbeat = 15 * time.Second

// stream answers with server-sent events: "client" events whose data is a Client and whose id is its version. It ends when the
// request's context does.
func (d *Directory) stream(w http.ResponseWriter, r *http.Request, only string) {
	watching, stop, ok := d.book.watch(only, d.cfg.Watchers)
	if !ok {
		refuse(w, http.StatusTooManyRequests, fmt.Sprintf("%d streams are open already", d.cfg.Watchers))
		return
	}
	defer stop()
	defer func() { _ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) }() // the connection serves the next request
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := &events{w: w, control: http.NewResponseController(w), book: d.book}
	if only != "" {
		out.send(only)
	}
	out.comment("open")
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for out.err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-beat.C:
			out.comment("still here")
		case <-watching.ready:
			for _, name := range watching.taken() {
				out.send(name)
			}
			out.flush()
		}
	}
}

// events writes server-sent events. The first error sticks.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	book    *book
	err     error
}

func (e *events) send(name string) {
	entry, known := e.book.client(name)
	if !known || e.err != nil {
		return
	}
	text, err := json.Marshal(shownClient(entry.state))
	if err == nil {
		e.deadline()
		_, err = fmt.Fprintf(e.w, "id: %d\nevent: client\ndata: %s\n\n", entry.state.Version, text)
	}
	e.err = err
}

func (e *events) comment(text string) {
	if e.err == nil {
		e.deadline()
		_, e.err = fmt.Fprintf(e.w, ": %s\n\n", text)
	}
	e.flush()
}

// deadline bounds how long a reader may stand still.
func (e *events) deadline() { _ = e.control.SetWriteDeadline(time.Now().Add(heartbeat)) } // not every writer has one

func (e *events) flush() {
	if e.err == nil {
		e.err = e.control.Flush()
	}
}
