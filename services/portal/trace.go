package portal

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/story"
)

// newTrace returns a W3C trace id.
func newTrace() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // it never fails: crypto/rand ends the process instead
	id[15] |= 1             // all zeros is none
	return hex.EncodeToString(id[:])
}

// traceparent continues a trace, with a span of its own.
func traceparent(trace string) string { return "00-" + trace + "-" + newTrace()[16:] + "-01" }

// maxTrace bounds a trace id, in bytes.
const maxTrace = 128

// tracePage is the story of a trace.
type tracePage struct {
	ID    string
	Days  string
	Story *story.Story
}

// Label is the id as pods carry it; empty when it is no W3C trace id. Any other text may be an id too, and mean something to the shell that
// a command is pasted into.
func (p tracePage) Label() string { return eventlog.TraceID(p.ID) }

func (p *Portal) findTrace(v *visit) error {
	if id := strings.TrimSpace(v.r.URL.Query().Get("id")); id != "" && len(id) <= maxTrace {
		return v.redirect("/trace/" + url.PathEscape(id))
	}
	return v.show("trace", "Trace", tracePage{})
}

func (p *Portal) showTrace(v *visit) error {
	data := tracePage{ID: v.r.PathValue("id"), Days: v.r.URL.Query().Get("days")}
	if len(data.ID) > maxTrace {
		return fail(http.StatusBadRequest, "A trace id has at most 128 bytes.")
	}
	since := time.Now().Add(-30 * 24 * time.Hour)
	switch data.Days {
	case "all":
		since = time.Time{}
	case "", "30":
		data.Days = "30"
	case "1":
		since = time.Now().Add(-24 * time.Hour)
	default:
		return fail(http.StatusBadRequest, "Days is 1, 30 or all.")
	}
	release, err := p.reading(v)
	if err != nil {
		return err
	}
	defer release()
	if data.Story, err = p.sources.Traces.Tell(v.r.Context(), data.ID, since); err != nil {
		return &unreachable{err}
	}
	return v.show("trace", "Trace", data)
}
