package cloudevents

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// prefix starts the name of a header that carries an attribute.
const prefix = "Ce-"

// untold is what curl and Python's urllib say of a body's type when their user says nothing.
const untold = "application/x-www-form-urlencoded"

// Carries tells whether a request's headers carry an event's attributes: its body then is the data.
func Carries(header http.Header) bool { return len(header[prefix+"Specversion"]) > 0 }

// Binary reads one event from a request's headers and body.
func Binary(header http.Header, body []byte, limits Limits) (Event, *Refusal) {
	a := attributes{limits: limits}
	for _, key := range slices.Sorted(maps.Keys(header)) {
		name, carries := strings.CutPrefix(key, prefix)
		if !carries {
			continue
		}
		name = strings.ToLower(name)
		if len(header[key]) > 1 {
			return Event{}, refuse(clip(name), "the header stands twice")
		}
		if name == "datacontenttype" {
			return Event{}, refuse(name, "is what Content-Type says")
		}
		value, ok := decoded(header[key][0])
		if !ok {
			return Event{}, refuse(clip(name), "the header's percent encoding is broken")
		}
		a.set(name, value)
	}
	if contentType := header.Get("Content-Type"); contentType != untold {
		a.contentType = contentType
	}
	if wrong := a.finish(); wrong != nil {
		return Event{}, wrong
	}
	if len(body) > 0 {
		a.event.Data = body
	}
	return a.event, nil
}

// decoded undoes what section 3.1.3.2 of the HTTP protocol binding does to a value: quotes first, then percent signs.
func decoded(value string) (string, bool) {
	if inner, quoted := strings.CutPrefix(value, `"`); quoted {
		inner, quoted = strings.CutSuffix(inner, `"`)
		if !quoted {
			return "", false
		}
		value = unescaped(inner)
	}
	text, err := url.PathUnescape(value)
	return text, err == nil
}

// unescaped removes the backslashes of a quoted string (RFC 9110, section 5.6.4).
func unescaped(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
