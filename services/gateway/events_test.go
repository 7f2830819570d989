package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/services/gateway"
)

const (
	tankType   = "com.example.TankFilled"
	tankSchema = `{"type":"record","name":"TankFilled","namespace":"com.example","fields":[{"name":"tank","type":"string"},{"name":"litres","type":"double"}]}`
	tank       = `{"specversion":"1.0","id":"7","source":"/tanks","type":"com.example.TankFilled","data":{"tank":"a","litres":7}}`
	reported   = `{"specversion":"1.0","id":"r1","source":"probe","type":"dev.fieldlog.TelemetryReported","time":"2026-11-24T04:00:00Z","colour":"red",` +
		`"data":{"client":"cliente02","device":"pump-7","readings":{"temperature":21.5,"running":true}}}`
)

const (
	structured = "application/cloudevents+json"
	batched    = "application/cloudevents-batch+json"
)

// startEvents starts a gateway whose registry knows the tank.
func startEvents(t testing.TB, cfg gateway.Config) *fixture { return withEvents(t, start(t, cfg)) }

func withEvents(t testing.TB, f *fixture) *fixture {
	t.Helper()
	client, err := sr.NewClient(sr.URLs(f.cluster.Config().Registry))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateSchema(t.Context(), tankType, sr.Schema{Schema: tankSchema}); err != nil {
		t.Fatal(err)
	}
	return f
}

// lines returns every record of a topic as JSON tells it.
func (f *fixture) lines(t testing.TB, topic eventlog.Topic) (all []*eventlog.Line) {
	t.Helper()
	for record, err := range f.log.Read(t.Context(), eventlog.ReadOptions{Topic: topic}) {
		if err != nil {
			t.Fatal(err)
		}
		line, err := f.log.Line(t.Context(), record, true)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

func TestEveryModeOfCloudEvents(t *testing.T) {
	f := startEvents(t, future)
	events, reports := 0, 0
	ok := func(status, tanks, telemetry int, body string, headers ...string) {
		t.Helper()
		if got, text, _ := f.do(t, "POST", "/v1/events", body, headers...); got != status {
			t.Errorf("%s: got %d %s, want %d", body, got, text, status)
		}
		events, reports = events+tanks, reports+telemetry
	}
	binary := func(kind string, more ...string) []string {
		return append([]string{"ce-specversion", "1.0", "ce-id", "b1", "ce-source", "probe", "ce-type", kind}, more...)
	}
	ok(200, 1, 0, tank, "Content-Type", structured)
	ok(200, 1, 0, tank, "Content-Type", structured+"; charset=utf-8")
	ok(200, 0, 1, reported, "Content-Type", structured)
	ok(200, 1, 1, "["+tank+","+reported+"]", "Content-Type", batched)
	ok(200, 0, 0, "[]", "Content-Type", batched)
	ok(200, 2, 0, tank+"\n\n"+tank+"\n", "Content-Type", "application/x-ndjson")
	ok(200, 1, 0, `{"tank":"b","litres":1.5}`, binary(tankType, "Content-Type", "application/json")...)
	ok(200, 1, 0, `{"tank":"b","litres":1.5}`, binary(tankType)...)
	ok(200, 1, 0, `{"tank":"b","litres":1.5}`, binary(tankType, "Content-Type", "application/x-www-form-urlencoded")...) // curl -d
	ok(200, 0, 1, good, binary("dev.fieldlog.TelemetryReported", "Content-Type", "application/json")...)
	ok(200, 1, 0, gzipped(tank), "Content-Type", structured, "Content-Encoding", "gzip")
	ok(207, 1, 0, "["+tank+`,{"specversion":"1.0"}]`, "Content-Type", batched)
	ok(207, 1, 0, tank+"\n{broken\n", "Content-Type", "application/x-ndjson")
	ok(400, 0, 0, "["+tank+",", "Content-Type", batched) // nothing of a broken document
	ok(400, 0, 0, tank[:len(tank)-1], "Content-Type", structured)
	if got := len(f.lines(t, eventlog.TopicEvents)); got != events {
		t.Errorf("%d events are in the log, want %d", got, events)
	}
	if got := len(f.stored(t)); got != reports {
		t.Errorf("%d reports are in the log, want %d", got, reports)
	}
	if got := f.value(t, "fieldlog_gateway_reports_accepted_total"); got != float64(events+reports) {
		t.Errorf("the counter says %v, want %d", got, events+reports)
	}
}

func TestAnEventKeepsItsAttributes(t *testing.T) {
	f := startEvents(t, future)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	event := strings.Replace(tank, `"data"`, `"time":"2026-11-24T05:00:00+01:00","subject":"north","colour":"red","n":3,"data"`, 1)
	status, body, _ := f.do(t, "POST", "/v1/events?positions", event, "Content-Type", structured, "traceparent", parent)
	lines := f.lines(t, eventlog.TopicEvents)
	if status != 200 || len(lines) != 1 {
		t.Fatalf("got %d %s and %d lines", status, body, len(lines))
	}
	l := lines[0]
	want := fmt.Sprintf(`{"accepted":1,"readings":0,"refused":0,"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","items":[{"index":0,"event_id":"7","topic":"events","partition":%d,"offset":0}]}`, l.Partition)
	if strings.TrimSpace(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
	trace := l.Headers["traceparent"]
	delete(l.Headers, "traceparent")
	headers := map[string]string{
		"ce_specversion": "1.0", "content-type": "application/avro", "ce_id": "7", "ce_source": "/tanks", "ce_type": tankType,
		"ce_time": "2026-11-24T04:00:00Z", "ce_subject": "north", "ce_colour": "red", "ce_n": "3", "fieldlog-retryable": "1",
	}
	if fmt.Sprint(l.Headers) != fmt.Sprint(headers) || !strings.Contains(trace, "4bf92f3577b34da6a3ce929d0e0e4736") || l.Key != "north" || string(l.Event) != `{"tank":"a","litres":7}` {
		t.Errorf("got %+v, trace %s", l, trace)
	}
}

func TestTheKeyOfAnEvent(t *testing.T) {
	f := startEvents(t, future)
	for i, key := range []string{`"partitionkey":"p","subject":"s",`, `"subject":"s",`, ``} {
		if status, body, _ := f.do(t, "POST", "/v1/events", strings.Replace(tank, `"data"`, key+`"data"`, 1), "Content-Type", structured); status != 200 {
			t.Fatalf("got %d %s", status, body)
		}
		want := []string{"p", "s", "/tanks"}[i]
		found := false
		for _, l := range f.lines(t, eventlog.TopicEvents) {
			found = found || l.Key == want
		}
		if !found {
			t.Errorf("with %s there is no key %q", key, want)
		}
	}
}

// TestAReportAsAnEventIsAReport holds that the attributes win over what the data says of the same.
func TestAReportAsAnEventIsAReport(t *testing.T) {
	f := startEvents(t, future)
	event := strings.Replace(reported, `"client"`, `"event_id":"other","origin":"other","client"`, 1)
	if status, body, _ := f.do(t, "POST", "/v1/events", event, "Content-Type", structured); status != 200 || !strings.Contains(body, `"readings":2`) {
		t.Fatalf("got %d %s", status, body)
	}
	stored := f.stored(t)
	if len(stored) != 1 || stored[0].EventID != "r1" || stored[0].Origin != "probe" || stored[0].EventTime.Time().Format("15:04") != "04:00" ||
		stored[0].ReceivedTime == stored[0].EventTime || stored[0].Readings[0].Time != stored[0].EventTime {
		t.Errorf("got %+v", stored)
	}
	if line := f.lines(t, eventlog.TopicTelemetry)[0]; line.Headers["ce_colour"] != "red" || line.Headers["ce_source"] != "probe" || line.Key != "cliente02/pump-7" {
		t.Errorf("got %+v", line)
	}
}

// TestARecordReadIsAnEventAgain sends what was read back, as a worker does that passes events on.
func TestARecordReadIsAnEventAgain(t *testing.T) {
	f := startEvents(t, future)
	if status, _, _ := f.do(t, "POST", "/v1/telemetry", good); status != 200 {
		t.Fatal(status)
	}
	data := string(f.lines(t, eventlog.TopicTelemetry)[0].Event)
	event := strings.Replace(reported, reported[strings.Index(reported, `{"client"`):], data+"}", 1)
	if status, body, _ := f.do(t, "POST", "/v1/events", event, "Content-Type", structured); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	stored := f.stored(t)
	if len(stored) != 2 || fmt.Sprint(stored[0].Readings) != fmt.Sprint(stored[1].Readings) || stored[1].EventID != "r1" {
		t.Errorf("got %+v", stored)
	}
}

func TestEveryRefusalOfAnEvent(t *testing.T) {
	cfg := future
	cfg.MaxItems, cfg.MaxBody, cfg.Future, cfg.Age = 200, 3<<20, 0, 0
	f := startEvents(t, cfg)
	sent := 0
	try := func(status int, field, want, body string, headers ...string) {
		t.Helper()
		got, text, header := f.do(t, "POST", "/v1/events", body, headers...)
		var problem struct {
			Errors []struct{ Field, Reason string }
		}
		if got != status || !strings.Contains(unescaped(text), want) || json.Unmarshal([]byte(text), &problem) != nil || header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.200s: got %d %.400s, want %d and %q", body, got, text, status, want)
		}
		if field != "" && (len(problem.Errors) == 0 || problem.Errors[0].Field != field) {
			t.Errorf("%.200s: got %.400s, want the field %q", body, text, field)
		}
		if got, _, _ := f.do(t, "POST", "/v1/events", tank, "Content-Type", structured); got != 200 {
			t.Fatalf("after %.100s a good event got %d", body, got)
		}
		sent++
	}
	event := func(field, want, was, is string) {
		t.Helper()
		base := tank
		if strings.Contains(reported, was) && !strings.Contains(tank, was) {
			base = reported
		}
		try(400, field, want, strings.Replace(base, was, is, 1), "Content-Type", structured)
	}
	event("specversion", "1.0 is taken", `"1.0"`, `"0.3"`)
	event("id", "is missing", `"id":"7",`, ``)
	event("type", "register the record's Avro schema", tankType, "com.example.Unknown")
	event("type", "full name of an Avro record", tankType, "../subjects")
	event("type", "full name of an Avro record", tankType, "com.example.tank-filled")
	event("type", "only Fieldlog itself tells", tankType, "dev.fieldlog.DeadLetter")
	event("type", "only Fieldlog itself tells", tankType, "dev.fieldlog.OrderAccepted")
	event("type", "only Fieldlog itself tells", tankType, "dev.fieldlog.Whatever")
	event("data.litres", "got a text", `"litres":7`, `"litres":"7"`)
	event("data.litres", "is missing", `,"litres":7`, ``)
	event("data.colour", "is unknown", `"litres":7`, `"litres":7,"colour":"red"`)
	event("data", "wants an object", `{"tank":"a","litres":7}`, `[]`)
	event("data", "is missing", `,"data":{"tank":"a","litres":7}`, ``)
	event("data", "of 2000017 bytes, 1000000 are allowed", `"tank":"a"`, `"tank":"`+strings.Repeat("a", 2_000_000)+`"`)
	event("dataschema", "no version 9", `"data"`, `"dataschema":"http://registry/subjects/`+tankType+`/versions/9","data"`)
	event("dataschema", "does not know schema id 4711", `"data"`, `"dataschema":"http://registry/schemas/ids/4711","data"`)
	event("dataschema", "the schema describes", `"data"`, `"dataschema":"/schemas/ids/1","data"`)
	event("dataschema", "names no schema", `"data"`, `"dataschema":"http://example.com/tank.json","data"`)
	event("dataschema", "names no schema", `"data"`, `"dataschema":"/subjects/other/versions/1","data"`)
	event("dataschema", "names no schema", `"data"`, `"dataschema":"/subjects/`+tankType+`/versions/-1","data"`)
	event("dataschema", "no version 9", `"colour":"red"`, `"dataschema":"/subjects/dev.fieldlog.TelemetryReported/versions/9"`)
	event("data.device", "may not hold '/'", `pump-7`, `pump/7`)
	event("data.readings", "is missing", `,"readings":{"temperature":21.5,"running":true}`, ``)
	event("data", "a report is an object", `{"client":"cliente02","device":"pump-7","readings":{"temperature":21.5,"running":true}}`, `[{"client":"c","device":"d","readings":{"m":1}}]`)
	event("time", "too far in the future", `2026-11-24T04`, `2999-11-24T04`)
	event("id", "a report's may have 128", `"r1"`, `"`+strings.Repeat("x", 200)+`"`)
	event("source", "a report's may have 128", `"probe"`, `"`+strings.Repeat("x", 200)+`"`)
	event("", "the body is broken", tank, `{`)
	event("", "the body is broken", tank, ``)
	event("", "the body is broken", `"id":"7"`, `"id":"7","id":"8"`)
	event("", "an event is an object", tank, `[]`)

	try(400, "", "the body is broken", "", "Content-Type", "application/x-ndjson")
	try(400, "", "the body is broken", tank, "Content-Type", batched)
	try(400, "", "the body is broken", "["+tank+",]", "Content-Type", batched)
	try(413, "", "more than 200 events", "["+strings.Repeat(tank+",", 200)+tank+"]", "Content-Type", batched)
	try(413, "", "3145728 bytes", strings.Repeat(" ", 4<<20), "Content-Type", structured)
	try(415, "", "application/cloudevents+xml", "<a/>", "Content-Type", "application/cloudevents+xml")
	try(415, "", "taken as JSON", "x", "Content-Type", "application/cloudevents-batch+avro")
	try(415, "", "ce-specversion", tank, "Content-Type", "application/json")
	try(415, "", "ce-specversion", tank)
	try(415, "", "br", tank, "Content-Type", structured, "Content-Encoding", "br")
	binary := []string{"ce-specversion", "1.0", "ce-id", "b1", "ce-source", "probe", "ce-type", tankType}
	try(400, "datacontenttype", "JSON only", "x", append(binary, "Content-Type", "text/plain")...)
	try(400, "data", "is no JSON", `{"tank":`, append(binary, "Content-Type", "application/json")...)
	try(400, "data.tank", "is missing", `{}`, binary...)
	try(400, "data", "is missing", ``, binary...)
	try(400, "subject", "percent", `{}`, append(binary, "ce-subject", "%zz")...)
	var types []string
	for i := range 51 {
		types = append(types, strings.Replace(tank, tankType, fmt.Sprintf("com.example.T%d", i), 1))
	}
	try(400, "type", "different types", "["+strings.Join(types, ",")+"]", "Content-Type", batched)
	if got := len(f.lines(t, eventlog.TopicEvents)); got != sent {
		t.Errorf("%d events are in the log, want the %d good ones", got, sent)
	}
}

func TestEventsOfARegistryThatIsAway(t *testing.T) {
	fake := eventlogtest.StartFake(t)
	f := withEvents(t, startOn(t, fake.Cluster, future))
	fake.Registry.Close()
	status, body, header := f.do(t, "POST", "/v1/events", "["+reported+","+tank+"]", "Content-Type", batched)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, "nothing of the request was accepted") {
		t.Errorf("got %d %s", status, body)
	}
	if got := len(f.stored(t)); got != 0 {
		t.Errorf("%d reports are in the log", got)
	}
	if status, body, _ := f.do(t, "POST", "/v1/events", reported, "Content-Type", structured); status != 200 {
		t.Errorf("what is registered: got %d %s", status, body)
	}
}
