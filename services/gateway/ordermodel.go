package gateway

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/fieldlog/fieldlog/schemas"
)

// orderModel is an order as clients send it: the original model, field names included, and what was added to it since.
type orderModel struct {
	Client      string `json:"client"`
	Namespace   string `json:"namespace"`
	Environment string `json:"environment"`
	Archtype    string `json:"archtype"`
	Hardware    string `json:"hardware"`
	Product     string `json:"product"`

	Attributes struct {
		EventType     attribute `json:"event_type"`
		PublishedOn   attribute `json:"published_on"`
		TraceID       attribute `json:"trace_id"`
		RetraceIntent attribute `json:"retrace_intent"`
	} `json:"MessageAttributes"`
	Metadata struct {
		Host      string `json:"host"`
		Origin    string `json:"origin"`
		Origing   string `json:"origing"` // as the first version of the model spelled it
		Publisher string `json:"publisher"`
	} `json:"Metadata"`

	OrderID         string     `json:"order_id"`
	EventID         string     `json:"event_id"`
	ExpectedVersion *int32     `json:"expected_version"`
	RequestedBy     string     `json:"requested_by"`
	Reason          string     `json:"reason"`
	Parameters      parameters `json:"parameters"`
}

// attribute is a value by itself, or {"Type": "String", "Value": ...} around it. Numbers keep their digits.
type attribute string

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (a *attribute) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() == '{' {
		var wrapped struct {
			Type  string
			Value jsontext.Value
		}
		if err := json.Unmarshal(value, &wrapped); err != nil {
			return err
		}
		value = wrapped.Value
	}
	switch value.Kind() {
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		*a = attribute(text)
		return err
	case '0':
		*a = attribute(value)
		return nil
	case 'n', 0:
		return nil
	}
	return errors.New("want a text or a number, or an object with Type and Value")
}

// parameters keep the sender's order.
type parameters []schemas.Label

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (p *parameters) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return errors.New("want an object of texts")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		var entry schemas.Label
		if err := json.UnmarshalDecode(d, &entry.Name); err != nil {
			return err
		}
		if err := json.UnmarshalDecode(d, &entry.Value); err != nil {
			return err
		}
		*p = append(*p, entry)
	}
	_, err := d.ReadToken()
	return err
}

// readOrder reads the JSON model strictly: one object, no name twice, valid UTF-8. An empty body is an empty model. Fields that
// nobody knows are skipped; the first of them is named.
func readOrder(body []byte) (m orderModel, unknown string, wrong *problem) {
	if len(body) == 0 {
		return m, "", nil
	}
	err := json.Unmarshal(body, &m, json.RejectUnknownMembers(true))
	if errors.Is(err, json.ErrUnknownName) {
		unknown, m = fieldOf(err), orderModel{}
		err = json.Unmarshal(body, &m)
	}
	if err == nil {
		return m, unknown, nil
	}
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) || semantic.JSONPointer == "" {
		return m, "", refusedOrder("", "the body is no order in JSON: "+err.Error())
	}
	reason := "want " + semantic.GoType.String()
	switch {
	case semantic.Err != nil:
		reason = semantic.Err.Error()
	case semantic.GoType.Kind() == reflect.String:
		reason = "want a text"
	}
	return m, "", refusedOrder(fieldOf(err), reason)
}

// fieldOf names the field that an error is about: "Metadata.host".
func fieldOf(err error) string {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return ""
	}
	return strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
}

func (m *orderModel) terms() schemas.Terms {
	return schemas.Terms{
		Namespace: m.Namespace, Environment: m.Environment, Archtype: m.Archtype, Hardware: m.Hardware, Product: m.Product,
		Parameters: m.Parameters,
	}
}

// eventType is what an order's event type is unless its sender tells.
const eventType = "company.app.event.client.action"

// envelope takes what the model tells of its event, and fills in what it does not.
func (m *orderModel) envelope(now time.Time, trace, host string) (schemas.Envelope, *problem) {
	e := schemas.Envelope{
		EventID: m.EventID, EventType: or(string(m.Attributes.EventType), eventType), EventTime: schemas.TimeOf(now), ReceivedTime: schemas.TimeOf(now),
		TraceID: or(string(m.Attributes.TraceID), trace), Origin: or(m.Metadata.Origin, or(m.Metadata.Origing, originHTTP)),
		Host: or(m.Metadata.Host, host), Publisher: m.Metadata.Publisher,
	}
	if text := string(m.Attributes.PublishedOn); text != "" {
		published, err := publishedOn(text)
		if err != nil {
			return e, refusedOrder("MessageAttributes.published_on", err.Error())
		}
		e.EventTime = schemas.TimeOf(published)
	}
	if text := string(m.Attributes.RetraceIntent); text != "" {
		attempt, err := strconv.ParseInt(text, 10, 32)
		if err != nil || attempt < 0 {
			return e, refusedOrder("MessageAttributes.retrace_intent", "want a number of tries, 0 or more")
		}
		e.Attempt = int32(attempt)
	}
	for _, text := range []struct{ field, value string }{
		{"event_id", e.EventID}, {"MessageAttributes.event_type", e.EventType}, {"MessageAttributes.trace_id", e.TraceID},
		{"Metadata.origin", e.Origin}, {"Metadata.host", e.Host}, {"Metadata.publisher", e.Publisher}, {"requested_by", m.RequestedBy},
	} {
		if len(text.value) > maxOrderText {
			return e, refusedOrder(text.field, fmt.Sprintf("has more than %d bytes", maxOrderText))
		}
	}
	return e, nil
}

const maxOrderText = 128 // bytes of what an order tells besides its terms

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// publishedOn reads the original model's time, year.month.day.hour.minute.nanosecond in UTC without leading zeros in some places
// ("2023.01.2.23.02.642883101"), the same with a second before the nanosecond, or RFC 3339.
func publishedOn(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t, nil
	}
	parts := strings.Split(text, ".")
	numbers := make([]int, len(parts))
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil {
			return time.Time{}, errPublished
		}
		numbers[i] = int(n)
	}
	if len(numbers) == 6 {
		numbers = append(numbers[:5:5], 0, numbers[5])
	}
	if len(numbers) != 7 || numbers[6] > 999_999_999 {
		return time.Time{}, errPublished
	}
	t := time.Date(numbers[0], time.Month(numbers[1]), numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], time.UTC)
	if t.Month() != time.Month(numbers[1]) || t.Day() != numbers[2] || t.Hour() != numbers[3] || t.Minute() != numbers[4] || t.Second() != numbers[5] {
		return time.Time{}, errPublished // the 31st of February
	}
	return t, nil
}

var errPublished = errors.New("want year.month.day.hour.minute.nanosecond in UTC, as 2023.01.2.23.02.642883101, or RFC 3339")
