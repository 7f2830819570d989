package cloudevents_test

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/cloudevents"
)

var limits = cloudevents.Limits{Name: 64, Value: 1024, Attributes: 32, Total: 8 << 10}

const good = `{"specversion":"1.0","id":"7","source":"/tanks","type":"com.example.TankFilled","time":"2026-11-24T04:00:00.5+01:00",` +
	`"subject":"north","partitionkey":"n1","n":-7,"yes":true,"gone":null,"datacontenttype":"application/json; charset=utf-8","data":{"litres": 1.50}}`

func want(data string) cloudevents.Event {
	return cloudevents.Event{
		ID: "7", Source: "/tanks", Type: "com.example.TankFilled", Time: time.Date(2026, 11, 24, 3, 0, 0, 5e8, time.UTC),
		Subject: "north", PartitionKey: "n1", Data: []byte(data),
		Attributes: []schemas.Label{{Name: "subject", Value: "north"}, {Name: "partitionkey", Value: "n1"}, {Name: "n", Value: "-7"}, {Name: "yes", Value: "true"}},
	}
}

func TestStructured(t *testing.T) {
	f := func(text, data string) {
		t.Helper()
		got, wrong := cloudevents.Structured([]byte(text), limits)
		if wrong != nil || !reflect.DeepEqual(got, want(data)) {
			t.Errorf("%s: got %+v %v", text, got, wrong)
		}
	}
	f(good, `{"litres": 1.50}`)
	f(" \n"+good+"\n", `{"litres": 1.50}`)
	f(strings.Replace(good, `"data":{"litres": 1.50}`, `"data":[1]`, 1), `[1]`)
	f(strings.Replace(good, `"data":{"litres": 1.50}`, `"data_base64":"eyJhIjoxfQ=="`, 1), `{"a":1}`)
	f(`{"data":{"first":1},`+strings.Replace(good, `,"data":{"litres": 1.50}`, "", 1)[1:], `{"first":1}`)
	f(strings.Replace(good, `"north"`, `"no\u0072th"`, 1), `{"litres": 1.50}`)
}

func TestStructuredRefusals(t *testing.T) {
	f := func(was, is, field, reason string, isBroken bool) {
		t.Helper()
		text := strings.Replace(good, was, is, 1)
		_, wrong := cloudevents.Structured([]byte(text), limits)
		if wrong == nil || wrong.Field != field || !strings.Contains(wrong.Error(), reason) || wrong.Broken != isBroken {
			t.Errorf("%s: got %+v, want %q, %q, broken %v", is, wrong, field, reason, isBroken)
		}
	}
	f(`"specversion":"1.0",`, ``, "specversion", "missing", false)
	f(`"1.0"`, `"0.3"`, "specversion", "1.0 is taken", false)
	f(`"1.0"`, `1.0`, "specversion", "want a text", false)
	f(`"id":"7",`, ``, "id", "missing", false)
	f(`"id":"7"`, `"id":7`, "id", "want a text", false)
	f(`"id":"7"`, `"id":""`, "id", "empty", false)
	f(`"id":"7"`, `"id":null`, "id", "missing", false)
	f(`"id":"7"`, `"id":"a\u0000b"`, "id", "control", false)
	f(`"id":"7"`, `"id":"a\u0085b"`, "id", "control", false)
	f(`"id":"7"`, `"id":"`+strings.Repeat("x", 1025)+`"`, "id", "1024 are allowed", false)
	f(`"id":"7"`, `"id":"7","id":"8"`, "", "duplicate", true)
	f(`"id":"7"`, `"id":"\ud800"`, "", "surrogate", true)
	f(`"id":"7"`, "\"id\":\"\xff\"", "", "UTF-8", true)
	f(`"source":"/tanks",`, ``, "source", "missing", false)
	f(`/tanks`, `::%zz`, "source", "URI", false)
	f(`"type":"com.example.TankFilled",`, ``, "type", "missing", false)
	f(`2026-11-24T04`, `2026-11-24 04`, "time", "RFC 3339", false)
	f(`2026-11-24`, `2026-11-31`, "time", "RFC 3339", false)
	f(`"n":-7`, `"N":-7`, "N", "lower-case", false)
	f(`"n":-7`, `"n_m":-7`, "n_m", "lower-case", false)
	f(`"n":-7`, `"":-7`, "", "lower-case", false)
	f(`"n":-7`, `"`+strings.Repeat("n", 65)+`":-7`, strings.Repeat("n", 64)+"...", "64 are allowed", false)
	f(`"n":-7`, `"n":2147483648`, "n", "32 bits", false)
	f(`"n":-7`, `"n":1.5`, "n", "whole number", false)
	f(`"n":-7`, `"n":{}`, "n", "a text, a boolean or a whole number", false)
	f(`"n":-7`, `"dataschema":":"`, "dataschema", "URI", false)
	f(`application/json; charset=utf-8`, `application/avro`, "datacontenttype", "JSON only", false)
	f(`application/json; charset=utf-8`, `;`, "datacontenttype", "JSON only", false)
	f(`"data":`, `"data_base64":"","data":`, "data", "exclude each other", false)
	f(`"data":{"litres": 1.50}`, `"data_base64":"%"`, "data_base64", "base64", false)
	f(`"data":{"litres": 1.50}`, `"data_base64":7`, "data_base64", "base64", false)
	f(`"n":-7`, many(40), "a30", "32 that are allowed", false)
	f(`"n":-7`, large(), "e7", "more than 8192 bytes", false)
	f(good, `[]`, "", "an event is an object", false)
	f(good, `"x"`, "", "an event is an object", false)
	f(good, ``, "", "empty", true)
	f(good, `{} {}`, "", "text after", true)
	for end := 1; end < len(good); end++ {
		f(good, good[:end], "", "no JSON", true)
	}
}

func many(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"a%d":1`, i)
	}
	return strings.Join(names, ",")
}

func large() string {
	values := make([]string, 9)
	for i := range values {
		values[i] = fmt.Sprintf(`"e%d":"%s"`, i, strings.Repeat("x", 1024))
	}
	return strings.Join(values, ",")
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestBinary(t *testing.T) {
	h := header("ce-specversion", "1.0", "ce-id", "7", "ce-source", "/tanks", "ce-type", "com.example.TankFilled", "ce-time", "2026-11-24T03:00:00.5Z",
		"ce-subject", "%e2%82%ac%20north", "ce-partitionkey", `"a \"b\" %22"`, "content-type", "application/vnd.tank+json", "accept", "*/*")
	if !cloudevents.Carries(h) || cloudevents.Carries(header("ce-id", "7")) {
		t.Error("what carries an event is not recognised")
	}
	got, wrong := cloudevents.Binary(h, []byte(`{"litres":1}`), limits)
	event := want(`{"litres":1}`)
	event.Subject, event.PartitionKey = "€ north", `a "b" "`
	event.Attributes = []schemas.Label{{Name: "partitionkey", Value: event.PartitionKey}, {Name: "subject", Value: event.Subject}}
	if wrong != nil || !reflect.DeepEqual(got, event) {
		t.Errorf("got %+v %v, want %+v", got, wrong, event)
	}

	f := func(field, reason string, pairs ...string) {
		t.Helper()
		h := header("ce-specversion", "1.0", "ce-id", "7", "ce-source", "/tanks", "ce-type", "com.example.TankFilled")
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		if _, wrong := cloudevents.Binary(h, nil, limits); wrong == nil || wrong.Field != field || !strings.Contains(wrong.Reason, reason) {
			t.Errorf("%q: got %v, want %q, %q", pairs, wrong, field, reason)
		}
	}
	f("id", "twice", "ce-id", "8")
	f("subject", "percent", "ce-subject", "%e2%8")
	f("subject", "percent", "ce-subject", `"open`)
	f("subject", "UTF-8", "ce-subject", "%ff")
	f("subject", "control", "ce-subject", "%00")
	f("a-b", "lower-case", "ce-a-b", "x")
	f("data", "lower-case", "ce-data", "x")
	f("datacontenttype", "Content-Type", "ce-datacontenttype", "application/json")
	f("datacontenttype", "JSON only", "content-type", "text/plain")
}

func TestBatchAndLines(t *testing.T) {
	f := func(body, want string) {
		t.Helper()
		var got []string
		for text, err := range cloudevents.Batch([]byte(body)) {
			if err != nil {
				got = append(got, "error: "+err.Error())
				break
			}
			got = append(got, string(text))
		}
		if joined := strings.Join(got, "|"); !strings.HasPrefix(joined, want) || want == "" && joined != "" {
			t.Errorf("%s: got %s, want %s", body, joined, want)
		}
	}
	f(`[]`, ``)
	f(` [ {"a": 1} , 2 ] `, `{"a": 1}|2`)
	f(`[1,`, `1|error: it is no JSON`)
	f(`[1 2]`, `1|error: it is no JSON`)
	f(`[1]x`, `1|error: text after the array`)
	f(`{}`, `error: a batch is an array`)
	f(``, `error: it is empty`)
	f(`[{"a":1,"a":2}]`, `error: it is no JSON: duplicate`)
	lines := 0
	for line, err := range cloudevents.Lines([]byte("\n {} \r\n\n[\n")) {
		if lines++; err != nil || len(line) == 0 {
			t.Errorf("got %q %v", line, err)
		}
	}
	if lines != 2 {
		t.Errorf("got %d lines, want 2", lines)
	}
}

// FuzzStructured holds that nothing is taken that breaks a bound or lacks what is required.
func FuzzStructured(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(strings.Replace(good, `"data":{"litres": 1.50}`, `"data_base64":"eyJhIjoxfQ=="`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, wrong := cloudevents.Structured(text, limits)
		if wrong != nil {
			if wrong.Reason == "" || errors.Unwrap(wrong) != nil {
				t.Fatalf("%q: a refusal without a reason", text)
			}
			return
		}
		total := 0
		for _, a := range e.Attributes {
			total += len(a.Name) + len(a.Value)
		}
		if e.ID == "" || e.Source == "" || e.Type == "" || len(e.Attributes) > limits.Attributes || total > limits.Total {
			t.Fatalf("%q was taken as %+v", text, e)
		}
	})
}
