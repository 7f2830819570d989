package cloudevents

import (
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fieldlog/fieldlog/schemas"
)

// attributes collects an event's attributes, however they came.
type attributes struct {
	limits      Limits
	event       Event
	specversion string
	contentType string
	total       int
	wrong       *Refusal // the first thing that is wrong
}

// set takes one attribute. Of what is wrong with an event the first is told.
func (a *attributes) set(name, value string) {
	if a.wrong == nil {
		a.wrong = a.check(name, value)
	}
	if a.wrong != nil {
		return
	}
	a.total += len(name) + len(value)
	switch name {
	case "specversion":
		a.specversion = value
		return
	case "datacontenttype":
		a.contentType = value
		return
	case "id":
		a.event.ID = value
		return
	case "source":
		a.event.Source = value
		return
	case "type":
		a.event.Type = value
		return
	case "time":
		a.event.Time, a.wrong = instant(value)
		return
	case "subject":
		a.event.Subject = value
	case "dataschema":
		a.event.DataSchema = value
	case "partitionkey":
		a.event.PartitionKey = value
	}
	a.event.Attributes = append(a.event.Attributes, schemas.Label{Name: name, Value: value})
}

func (a *attributes) check(name, value string) *Refusal {
	switch {
	case !isName(name):
		return refuse(clip(name), "is no name of an attribute: those are lower-case letters and digits")
	case len(name) > a.limits.Name:
		return refuse(clip(name), "the name is %d bytes long, %d are allowed", len(name), a.limits.Name)
	case value == "":
		return refuse(name, "is empty")
	case len(value) > a.limits.Value:
		return refuse(name, "is %d bytes long, %d are allowed", len(value), a.limits.Value)
	case !isText(value):
		return refuse(name, "holds a control character, or is no UTF-8")
	case len(a.event.Attributes) == a.limits.Attributes:
		return refuse(name, "is one attribute more than the %d that are allowed", a.limits.Attributes)
	case a.total+len(name)+len(value) > a.limits.Total:
		return refuse(name, "all attributes together have more than %d bytes", a.limits.Total)
	}
	return nil
}

// finish checks what no attribute shows by itself.
func (a *attributes) finish() *Refusal {
	e := &a.event
	switch {
	case a.wrong != nil:
		return a.wrong
	case a.specversion == "":
		return refuse("specversion", "is missing")
	case a.specversion != "1.0":
		return refuse("specversion", "is %.20q, 1.0 is taken", a.specversion)
	case e.ID == "":
		return refuse("id", "is missing")
	case e.Source == "":
		return refuse("source", "is missing")
	case e.Type == "":
		return refuse("type", "is missing")
	case a.contentType != "" && !isJSON(a.contentType):
		return refuse("datacontenttype", "is %.100q; data is taken as JSON only: application/json", a.contentType)
	}
	if _, err := url.Parse(e.Source); err != nil {
		return refuse("source", "is no URI reference")
	}
	if _, err := url.Parse(e.DataSchema); err != nil {
		return refuse("dataschema", "is no URI")
	}
	return nil
}

func instant(text string) (time.Time, *Refusal) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, refuse("time", "want a time in RFC 3339")
	}
	return t.UTC(), nil
}

// isJSON tells whether a media type is JSON's, or says that it is written as JSON (RFC 6839).
func isJSON(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == "application/json" || media == "text/json" || strings.HasSuffix(media, "+json"))
}

func isName(name string) bool {
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && name != "data"
}

// isText tells whether a value is one of CloudEvents' strings: no control characters, no halves of surrogates.
func isText(value string) bool {
	for _, r := range value {
		if r < 0x20 || r >= 0x7f && r < 0xa0 {
			return false
		}
	}
	return utf8.ValidString(value)
}

func clip(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "..."
	}
	return name
}
