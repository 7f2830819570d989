package gateway_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/fieldlog/fieldlog/services/gateway"
)

// refusal is a bad request and the answer it must get.
type refusal struct {
	name    string
	target  string // default POST /v1/telemetry
	headers []string
	body    string
	status  int
	want    string // part of the answer
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.String()
}

func zstandard(text string) string {
	w, _ := zstd.NewWriter(nil)
	return string(w.EncodeAll([]byte(text), nil))
}

// refusals are grouped by what is wrong: how a request is made, how its JSON is written, what it says, line protocol.
func refusals() []refusal {
	var all []refusal
	with := func(name, body, want string) {
		all = append(all, refusal{name: name, body: body, status: http.StatusBadRequest, want: want})
	}
	head := `{"client":"c","device":"d",`
	value := func(name, v, want string) { with(name, head+`"readings":{"m":`+v+`}}`, want) }
	long := strings.Repeat("x", 200)

	for end := range len(good) - 1 { // cut off at any byte
		if end%6 == 0 {
			with(fmt.Sprintf("cut off at byte %d", end), good[:end], "body")
		}
	}
	with("nonsense", "nonsense", "want a value")
	with("null", "null", "a report is an object")
	with("number", "7", "a report is an object")
	with("empty array", "[]", "empty")
	with("array in an array", "[["+good+"]]", "a report is an object")
	with("two documents on a line, the second broken", good+" {", "name in quotes")
	with("trailing comma", "["+good+",]", "want a value")
	with("missing comma", "["+good+good+"]", "want ','")
	with("text after the array", "["+good+"] x", "text after")
	with("single quotes", `{'client':'c'}`, "name in quotes")
	with("comment", head+`/* hi */"readings":{"m":1}}`, "name in quotes")
	with("byte order mark", "\ufeff"+good, "want a value")
	with("NUL", good[:20]+"\x00"+good[20:], "control character")
	with("raw line feed in a text", "{\"client\":\"a\nb\"}", "control character")
	with("invalid UTF-8", "{\"client\":\"a\xff\"}", "UTF-8")
	with("overlong UTF-8", "{\"client\":\"a\xc0\x80\"}", "UTF-8")
	with("surrogate in UTF-8", "{\"client\":\"\xed\xa0\x80\"}", "UTF-8")
	with("lone surrogate", `{"client":"\ud800"}`, "surrogate")
	with("bad escape", `{"client":"\q"}`, "escape")
	with("short escape", `{"client":"\u12"}`, "hexadecimal")
	with("too deep", head+`"x":`+strings.Repeat("[", 100)+strings.Repeat("]", 100)+`}`, "deeply")
	with("too many unknown names", head+manyNames(300)+`"readings":{"m":1}}`, "too many unknown")

	value("NaN", "NaN", "want a value")
	value("infinity", "Infinity", "want a value")
	value("minus infinity", "-Infinity", "want a digit")
	value("plus", "+1", "want a value")
	value("leading zero", "01", "begin with 0")
	value("no digit after the point", "1.", "digit")
	value("no digit before the point", ".1", "want a value")
	value("no exponent", "1e+", "digit")
	value("hexadecimal", "0x10", "want ','")
	value("null value", "null", "want a number")
	value("object value", `{"a":1}`, "want a number")
	value("array value", `[1]`, "want a number")
	value("integer too large", "9223372036854775808", "64 bits")
	value("integer too small", "-9223372036854775809", "64 bits")
	value("double too large", "1e309", "double")
	value("misspelt boolean", "True", "want a value")
	value("text too long", `"`+strings.Repeat("x", 5000)+`"`, "4096 are allowed")

	with("no client", `{"device":"d","readings":{"m":1}}`, `"field":"client"`)
	with("no device", `{"client":"c","readings":{"m":1}}`, `"field":"device"`)
	with("no readings", `{"client":"c","device":"d"}`, `"field":"readings"`)
	with("empty readings", head+`"readings":{}}`, "no reading")
	with("empty array of readings", head+`"readings":[]}`, "no reading")
	with("readings of a wrong type", head+`"readings":"x"}`, "want an object or an array")
	with("client of a wrong type", `{"client":7,"device":"d","readings":{"m":1}}`, "want a text")
	with("client is null", `{"client":null,"device":"d","readings":{"m":1}}`, "want a text")
	with("empty client", `{"client":"","device":"d","readings":{"m":1}}`, "is empty")
	with("empty device", `{"client":"c","device":"","readings":{"m":1}}`, "is empty")
	with("long client", `{"client":"`+long+`","device":"d","readings":{"m":1}}`, "128 are allowed")
	with("long metric", head+`"readings":{"`+long+`":1}}`, "128 are allowed")
	with("slash in a client", `{"client":"a/b","device":"d","readings":{"m":1}}`, "'/'")
	with("slash in a device", `{"client":"a","device":"d/e","readings":{"m":1}}`, "'/'")
	with("control character in a client", `{"client":"a\u0000","device":"d","readings":{"m":1}}`, "control")
	with("DEL in a metric", head+"\"readings\":{\"m\x7f\":1}}", "control")
	with("C1 in a device", `{"client":"a","device":"\u0090","readings":{"m":1}}`, "control")
	with("empty metric", head+`"readings":{"":1}}`, "without a name")
	with("duplicate field", head+`"client":"e","readings":{"m":1}}`, "twice")
	with("duplicate metric", head+`"readings":{"m":1,"m":2}}`, "twice")
	with("duplicate metric behind an escape", head+`"readings":{"m":1,"\u006d":2}}`, "twice")
	with("duplicate label", head+`"labels":{"a":"1","a":"1"},"readings":{"m":1}}`, "twice")
	with("duplicate unknown field", head+`"x":1,"x":1,"readings":{"m":1}}`, "twice")
	with("too many readings", head+`"readings":[`+strings.Repeat(`{"metric":"m","value":1},`, 10_000)+`{"metric":"m","value":1}]}`, "more than 10000")
	with("reading without value", head+`"readings":[{"metric":"m"}]}`, "readings[0].value")
	with("reading without metric", head+`"readings":[{"value":1}]}`, "readings[0].metric")
	with("the second reading is bad", head+`"readings":[{"metric":"m","value":1},{"metric":"n","value":[]}]}`, "readings[1].value")
	with("unit of a wrong type", head+`"readings":[{"metric":"m","value":1,"unit":1}]}`, "readings[0].unit")
	with("long unit", head+`"readings":[{"metric":"m","value":1,"unit":"`+long+`"}]}`, "32 are allowed")
	with("labels of a wrong type", head+`"labels":["a"],"readings":{"m":1}}`, "labels")
	with("a label of a wrong type", head+`"labels":{"a":true},"readings":{"m":1}}`, "labels.a")
	with("too many labels", head+`"labels":{`+strings.TrimSuffix(manyTexts(40), ",")+`},"readings":{"m":1}}`, "more than 32")
	with("long event id", head+`"event_id":"`+long+`","readings":{"m":1}}`, "event_id")
	with("event id of a wrong type", head+`"event_id":7,"readings":{"m":1}}`, "event_id")
	with("attempt below 0", head+`"attempt":-1,"readings":{"m":1}}`, "attempt")
	with("attempt too large", head+`"attempt":3000000000,"readings":{"m":1}}`, "attempt")
	with("attempt with a fraction", head+`"attempt":1.5,"readings":{"m":1}}`, "attempt")
	with("no time", head+`"time":"soon","readings":{"m":1}}`, "RFC 3339")
	with("empty time", head+`"time":"","readings":{"m":1}}`, "RFC 3339")
	with("time without a zone", head+`"time":"2026-11-24T04:00:00","readings":{"m":1}}`, "RFC 3339")
	with("time with a space", head+`"time":"2026-11-24 04:00:00Z","readings":{"m":1}}`, "RFC 3339")
	with("31 November", head+`"time":"2026-11-31T04:00:00Z","readings":{"m":1}}`, "RFC 3339")
	with("29 February of 2026", head+`"time":"2026-02-29T04:00:00Z","readings":{"m":1}}`, "RFC 3339")
	with("hour 24", head+`"time":"2026-11-24T24:00:00Z","readings":{"m":1}}`, "RFC 3339")
	with("leap second", head+`"time":"2016-12-31T23:59:60Z","readings":{"m":1}}`, "RFC 3339")
	with("far past", head+`"time":"1969-01-01T00:00:00Z","readings":{"m":1}}`, "long ago")
	with("far future", head+`"time":"2999-01-01T00:00:00Z","readings":{"m":1}}`, "future")
	with("seconds taken for milliseconds", head+`"time":1764000000,"readings":{"m":1}}`, "long ago")
	with("nanoseconds taken for milliseconds", head+`"time":1764000000000000000,"readings":{"m":1}}`, "far away")
	with("time of a wrong type", head+`"time":{},"readings":{"m":1}}`, "RFC 3339")
	with("reading's time in the future", head+`"readings":[{"metric":"m","value":1,"time":"2999-01-01T00:00:00Z"}]}`, "readings[0].time")

	all = append(all, requestRefusals()...)
	return append(all, lineRefusals()...)
}

func requestRefusals() []refusal {
	broken := gzipped(good)
	return []refusal{
		{name: "empty body", status: 400, want: "empty"},
		{name: "blank body", body: " \n\t ", status: 400, want: "empty"},
		{name: "blank lines", body: "\n\n", headers: []string{"Content-Type", "application/x-ndjson"}, status: 400, want: "empty"},
		{name: "every line broken", body: "{\n}\nx\n", headers: []string{"Content-Type", "application/x-ndjson"}, status: 400, want: `"refused":3`},
		{name: "XML", headers: []string{"Content-Type", "application/xml"}, body: "<a/>", status: 415, want: "application/xml"},
		{name: "broken content type", headers: []string{"Content-Type", ";;;"}, body: good, status: 415, want: "not taken"},
		{name: "brotli", headers: []string{"Content-Encoding", "br"}, body: good, status: 415, want: "br"},
		{name: "two codings", headers: []string{"Content-Encoding", "gzip, gzip"}, body: good, status: 415, want: "not taken"},
		{name: "no gzip", headers: []string{"Content-Encoding", "gzip"}, body: good, status: 400, want: "gzip"},
		{name: "cut off gzip", headers: []string{"Content-Encoding", "gzip"}, body: broken[:len(broken)-9], status: 400, want: "cannot be read"},
		{name: "gzip with a wrong checksum", headers: []string{"Content-Encoding", "gzip"}, body: broken[:len(broken)-8] + "12345678", status: 400, want: "cannot be read"},
		{name: "no zstd", headers: []string{"Content-Encoding", "zstd"}, body: good, status: 400, want: "cannot be read"},
		{name: "cut off zstd", headers: []string{"Content-Encoding", "zstd"}, body: zstandard(good)[:20], status: 400, want: "cannot be read"},
		{name: "no deflate", headers: []string{"Content-Encoding", "deflate"}, body: "\xff\xff\xff\xff", status: 400, want: "cannot be read"},
		{name: "empty deflate", headers: []string{"Content-Encoding", "deflate"}, status: 400, want: "deflate"},
		{name: "gzip bomb", headers: []string{"Content-Encoding", "gzip"}, body: gzipped(strings.Repeat(" ", 3<<20)), status: 413, want: "1048576"},
		{name: "zstd bomb", headers: []string{"Content-Encoding", "zstd"}, body: zstandard(strings.Repeat(" ", 3<<20)), status: 413, want: "1048576"},
		{name: "too large", body: strings.Repeat(" ", 3<<20), status: 413, want: "1048576"},
		{name: "too many reports", body: strings.Repeat(`{"client":"c","device":"d","readings":{"m":1}}`+"\n", 101), status: 413, want: "more than 100"},
		{name: "wrong method", target: "GET /v1/telemetry", status: 405, want: "takes POST"},
		{name: "wrong method for writes", target: "DELETE /api/v2/write", status: 405, want: "takes POST"},
		{name: "wrong path", target: "POST /v2/telemetry", body: good, status: 404, want: "openapi.json"},
	}
}

func lineRefusals() []refusal {
	var all []refusal
	line := func(name, body, want string) {
		all = append(all, refusal{name: "line protocol: " + name, target: "POST /write?db=c", body: body, status: 400, want: want})
	}
	line("nonsense", "nonsense", "line 1: want ' ' and a field")
	line("second line", "\nm,device=d", "line 2: want ' '")
	line("no measurement", ",device=d v=1", "measurement")
	line("no field", "m,device=d ", "field")
	line("no value", "m,device=d v=", "value is missing")
	line("no device", "m v=1", "no tag names the device")
	line("slash", "m,device=a/b v=1", "'/'")
	line("empty tag", "m,device= v=1", "tag")
	line("tag without a value", "m,device v=1", "name=value")
	line("duplicate tag", "m,device=a,device=b v=1", "twice")
	line("NaN", "m,device=d v=nan", "number")
	line("infinity", "m,device=d v=inf", "number")
	line("hexadecimal", "m,device=d v=0x10", "number")
	line("underscores", "m,device=d v=1_000", "number")
	line("integer too large", "m,device=d v=9223372036854775808i", "64 bits")
	line("unsigned too large", "m,device=d v=9223372036854775808u", "64 bits")
	line("negative unsigned", "m,device=d v=-1u", "64 bits")
	line("double too large", "m,device=d v=1e999", "double")
	line("open quotes", `m,device=d v="abc`, "quotes")
	line("text after quotes", `m,device=d v="abc"d`, "after the quotes")
	line("bad timestamp", "m,device=d v=1 soon", "no timestamp")
	line("timestamp with a fraction", "m,device=d v=1 1.5", "no timestamp")
	line("long ago", "m,device=d v=1 5", "long ago")
	line("future", "m,device=d v=1 9000000000000000000", "future")
	line("invalid UTF-8", "m,device=d\xff v=1", "UTF-8")
	line("long metric", strings.Repeat("m", 200)+",device=d v=1", "128 bytes")
	return append(all, refusal{name: "line protocol: precision", target: "POST /write?db=c&precision=days", body: "m,device=d v=1", status: 400, want: "precision"},
		refusal{name: "line protocol: no client", target: "POST /write", body: "m,device=d v=1", status: 400, want: "no tag names the client"},
		refusal{name: "line protocol: too large", target: "POST /write?db=c", body: strings.Repeat("\n", 3<<20), status: 413, want: "1048576"})
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `"u%d":0,`, i)
	}
	return b.String()
}

func manyTexts(n int) string { return strings.ReplaceAll(manyNames(n), ":0", `:"0"`) }

// TestEveryRefusalIsClearAndHarmsNothingElse sends every bad request, each followed by a good one.
func TestEveryRefusalIsClearAndHarmsNothingElse(t *testing.T) {
	f := start(t, gateway.Config{MaxBody: 1 << 20, MaxItems: 100})
	cases := refusals()
	if len(cases) < 100 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		method, target := "POST", "/v1/telemetry"
		if c.target != "" {
			method, target, _ = strings.Cut(c.target, " ")
		}
		status, body, header := f.do(t, method, target, c.body, c.headers...)
		if status != c.status || !strings.Contains(unescaped(body), c.want) {
			t.Errorf("%s: got %d %.300s, want %d and %q", c.name, status, body, c.status, c.want)
		}
		if !json.Valid([]byte(body)) {
			t.Errorf("%s: the answer is no JSON: %s", c.name, body)
		}
		if kind := header.Get("Content-Type"); kind != "application/problem+json" && !strings.Contains(target, "write") {
			t.Errorf("%s: the answer is %q", c.name, kind)
		}
		if status, body, _ := f.do(t, "POST", "/v1/telemetry", `{"client":"c","device":"d","readings":{"m":1}}`); status != http.StatusOK {
			t.Fatalf("after %s a good report got %d %s", c.name, status, body)
		}
	}
	if got := len(f.stored(t)); got != len(cases) {
		t.Errorf("%d reports are in the log, want the %d good ones", got, len(cases))
	}
}

// unescaped undoes what JSON does to the characters that the wanted texts contain.
func unescaped(body string) string {
	return strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">", `\\`, `\`).Replace(strings.ReplaceAll(body, `\"field\"`, `"field"`))
}
