package jsonscan

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/fieldlog/fieldlog/schemas"
)

var (
	now    = schemas.TimeOf(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC))
	limits = Limits{
		Name: 128, Unit: 32, Text: 64, Labels: 4, Label: 32, Readings: 1000, Word: 64,
		Oldest: schemas.TimeOf(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), Newest: now + 600_000_000,
	}
)

// scanAll reads a body and returns its reports and refusals, one of both for each item.
func scanAll(body string, shape Shape, limits Limits) (reports []*schemas.TelemetryReported, refusals []*Refusal) {
	var s Scanner
	s.Start([]byte(body), shape, limits, now)
	for {
		report := &schemas.TelemetryReported{}
		more, refusal := s.Next(report)
		if !more {
			return reports, refusals
		}
		reports, refusals = append(reports, report), append(refusals, refusal)
		if refusal != nil && refusal.Broken {
			return reports, refusals
		}
	}
}

func TestReports(t *testing.T) {
	f := func(body string, want schemas.TelemetryReported) {
		t.Helper()
		reports, refusals := scanAll(body, Document, limits)
		if len(reports) != 1 || refusals[0] != nil {
			t.Errorf("%s: got %d reports, %v", body, len(reports), refusals)
			return
		}
		want.ReceivedTime = now
		if want.EventTime == 0 {
			want.EventTime = now
		}
		for i := range want.Readings {
			if want.Readings[i].Time == 0 {
				want.Readings[i].Time = want.EventTime
			}
		}
		got := *reports[0]
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", body, got, want)
		}
	}
	reading := func(metric string, v schemas.Value) schemas.Reading { return schemas.Reading{Metric: metric, Value: v} }
	pump := func(readings ...schemas.Reading) schemas.TelemetryReported {
		return schemas.TelemetryReported{Client: "c", Device: "d", Readings: readings}
	}
	f(`{"client":"c","device":"d","readings":{"a":21.5,"b":true,"c":"ok","d":-7}}`,
		pump(reading("a", schemas.DoubleValue(21.5)), reading("b", schemas.BooleanValue(true)), reading("c", schemas.TextValue("ok")), reading("d", schemas.IntegerValue(-7))))
	f(` { "readings" : { "a" : 9223372036854775807 , "b" : -9223372036854775808 } , "device" : "d" , "client" : "c" } `,
		pump(reading("a", schemas.IntegerValue(math.MaxInt64)), reading("b", schemas.IntegerValue(math.MinInt64))))
	f(`{"client":"c","device":"d","readings":{"a":1e308,"b":1.0,"c":-0.0,"d":5e-324,"e":-0}}`,
		pump(reading("a", schemas.DoubleValue(1e308)), reading("b", schemas.DoubleValue(1)), reading("c", schemas.DoubleValue(math.Copysign(0, -1))), reading("d", schemas.DoubleValue(5e-324)), reading("e", schemas.IntegerValue(0))))
	f(`{"client":"c\u006c","device":"\ud83d\ude00","readings":{"t\u00e9":"\"\\\/\b\f\n\r\t"}}`,
		schemas.TelemetryReported{Client: "cl", Device: "😀", Readings: []schemas.Reading{reading("té", schemas.TextValue("\"\\/\b\f\n\r\t"))}})
	with := pump(schemas.Reading{Metric: "a", Time: now - 1_000_000, Value: schemas.IntegerValue(1), Unit: "°C"}, reading("a", schemas.IntegerValue(2)))
	with.EventTime = now - 2_000_000
	f(`{"client":"c","device":"d","readings":[{"metric":"a","time":"2026-11-24T04:59:59+01:00","value":1,"unit":"°C"},{"value":2,"metric":"a"}],"time":1795492798000}`, with)
	all := pump(reading("a", schemas.IntegerValue(1)))
	all.EventID, all.TraceID, all.EventType, all.Attempt, all.Origin, all.Host, all.Publisher = "id", "tr", "ty", 3, "or", "ho", "pu"
	all.Labels = []schemas.Label{{Name: "site", Value: "north"}, {Name: "line", Value: ""}}
	f(`{"client":"c","device":"d","event_id":"id","trace_id":"tr","event_type":"ty","attempt":3,"origin":"or","host":"ho","publisher":"pu","labels":{"site":"north","line":""},"readings":{"a":1}}`, all)
	f(`{"client":"c","device":"d","readings":{"a":1},"new":{"x":[1,{"y":null}]},"other":false}`, pump(reading("a", schemas.IntegerValue(1))))
}

func TestRefusals(t *testing.T) {
	f := func(body, wantField, wantReason string, wantBroken bool) {
		t.Helper()
		_, refusals := scanAll(body, Document, limits)
		r := refusals[len(refusals)-1]
		if r == nil || r.Field != wantField || !strings.Contains(r.Reason, wantReason) || r.Broken != wantBroken {
			t.Errorf("%s: got %+v, want field %q, reason %q, broken %v", body, r, wantField, wantReason, wantBroken)
		}
	}
	const head = `{"client":"c","device":"d",`
	f(``, "", "empty", true)
	f(`[]`, "", "empty", true)
	f(`{}`, "client", "missing", false)
	f(`{"client":"c"}`, "device", "missing", false)
	f(`{"client":"c","device":"d"}`, "readings", "missing", false)
	f(head+`"readings":{}}`, "readings", "no reading", false)
	f(head+`"readings":[]}`, "readings", "no reading", false)
	f(head+`"readings":{"a":1}`, "", "too early", true)
	f(head+`"readings":{"a":1}}}`, "", "want a value", true)
	f(head+`"readings":{"a":null}}`, "readings.a", "want a number", false)
	f(head+`"readings":{"a":{}}}`, "readings.a", "want a number", false)
	f(head+`"readings":{"a":9223372036854775808}}`, "readings.a", "64 bits", false)
	f(head+`"readings":{"a":1e309}}`, "readings.a", "double", false)
	f(head+`"readings":{"a":NaN}}`, "", "want a value", true)
	f(head+`"readings":{"a":01}}`, "", "begin with 0", true)
	f(head+`"readings":{"a":1.}}`, "", "digit after the point", true)
	f(head+`"readings":{"a":.5}}`, "", "want a value", true)
	f(head+`"readings":{"a":1e}}`, "", "digit after the exponent", true)
	f(head+`"readings":{"a":1,"a":2}}`, "readings.a", "twice", false)
	f(head+`"readings":{"a":1,"\u0061":2}}`, "readings.a", "twice", false)
	f(head+`"readings":{"a":1},"client":"e"}`, "client", "twice", false)
	f(head+`"readings":{"a":1},"x":1,"x":2}`, "x", "twice", false)
	f(head+`"readings":{"a":1},"x":{"y":1,"y":2}}`, "y", "twice", false)
	f(head+`"readings":{"":1}}`, "readings", "without a name", false)
	f(head+`"readings":{"a\u0085":1}}`, "readings", "control", false)
	f(head+"\"readings\":{\"a\x01\":1}}", "", "control character", true)
	f(head+"\"readings\":{\"a\xff\":1}}", "", "UTF-8", true)
	f(head+`"readings":{"a":"\ud800"}}`, "", "surrogate", true)
	f(head+`"readings":{"a":"\udc00\ud800"}}`, "", "surrogate", true)
	f(head+`"readings":{"a":"\x"}}`, "", "no such escape", true)
	f(head+`"readings":{"a":1,}}`, "", "name in quotes", true)
	f(head+`"readings":[{"metric":"a","value":1},]}`, "", "want a value", true)
	f(head+`"readings":[{"metric":"a"}]}`, "readings[0].value", "missing", false)
	f(head+`"readings":[{"metric":"a","value":1},{"value":1}]}`, "readings[1].metric", "missing", false)
	f(head+`"readings":[{"metric":"a","value":1,"time":"soon"}]}`, "readings[0].time", "RFC 3339", false)
	f(head+`"readings":[{"metric":"a","value":1,"unit":7}]}`, "readings[0].unit", "want a text", false)
	f(head+`"readings":[1]}`, "readings[0]", "object", false)
	f(head+`"readings":7}`, "readings", "object or an array", false)
	f(head+`"time":"1999-12-31T23:59:59Z","readings":{"a":1}}`, "time", "too long ago", false)
	f(head+`"time":"2026-11-24T04:10:01Z","readings":{"a":1}}`, "time", "future", false)
	f(head+`"time":true,"readings":{"a":1}}`, "time", "RFC 3339", false)
	f(head+`"time":1e300,"readings":{"a":1}}`, "time", "far away", false)
	f(head+`"attempt":-1,"readings":{"a":1}}`, "attempt", "whole number", false)
	f(head+`"attempt":1.5,"readings":{"a":1}}`, "attempt", "whole number", false)
	f(head+`"labels":{"a":1},"readings":{"a":1}}`, "labels.a", "want a text", false)
	f(head+`"labels":{"a":"1","a":"2"},"readings":{"a":1}}`, "labels.a", "twice", false)
	f(head+`"labels":{"1":"","2":"","3":"","4":"","5":""},"readings":{"a":1}}`, "labels", "more than 4", false)
	f(`{"client":"a/b","device":"d","readings":{"a":1}}`, "client", "'/'", false)
	f(`{"client":"","device":"d","readings":{"a":1}}`, "client", "empty", false)
	f(`{"client":7,"device":"d","readings":{"a":1}}`, "client", "want a text", false)
	f(`{"client":"`+strings.Repeat("x", 129)+`","device":"d","readings":{"a":1}}`, "client", "129 bytes", false)
	f(`[{"client":"c"} {}]`, "", "want ',' or ']'", true)
	f(`[1`, "", "too early", true)
	f(`["x",`+strings.Repeat("[", 50), "", "nested", true)
	f(`nonsense`, "", "want a value", true)
}

func TestTheOtherReportsAreRead(t *testing.T) {
	const good = `{"client":"c","device":"d","readings":{"a":1}}`
	f := func(shape Shape, body string, want ...bool) {
		t.Helper()
		_, refusals := scanAll(body, shape, limits)
		var got []bool
		for _, r := range refusals {
			got = append(got, r == nil)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v (%v), want %v", body, got, refusals, want)
		}
	}
	f(Document, "["+good+`,{"client":1},`+good+"]", true, false, true)
	f(Document, good+"\n"+good, true, true)
	f(Lines, good+"\n\n{broken\n"+good+"\r\n"+good+good+"\n", true, false, true, false)
	f(Lines, "\n\n", false)
}

// TestManyMetrics crosses from comparing names one by one to the table, and back.
func TestManyMetrics(t *testing.T) {
	var s Scanner
	var report schemas.TelemetryReported
	for _, n := range []int{1, 8, 9, 31, 900, 3, 40} {
		for _, duplicate := range []bool{false, true} {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, `"m%d":%d,`, i, i)
			}
			if duplicate {
				fmt.Fprintf(&b, `"m%d":1,`, n/2)
			}
			body := `{"client":"c","device":"d","readings":{` + strings.TrimSuffix(b.String(), ",") + `}}`
			s.Start([]byte(body), Document, limits, now)
			if _, refusal := s.Next(&report); (refusal != nil) != duplicate {
				t.Errorf("%d metrics, duplicate %v: got %v", n, duplicate, refusal)
			}
		}
	}
}

// FuzzReport holds the scanner against the reference, in both shapes: the same reports, the same number of refusals, and the same
// verdict on the document.
func FuzzReport(f *testing.F) {
	const one = `{"client":"c","device":"d","time":"2026-11-24T03:59:59.5Z","readings":{"a":21.5,"b":true,"c":"ok","d":-7}}`
	f.Add([]byte(one))
	f.Add([]byte("[" + one + `,{"client":"c","device":"d"},7]`))
	f.Add([]byte(one + "\n\n" + one + "x\n" + one))
	f.Add([]byte(`{"client":"c","device":"d","labels":{"a":"b"},"event_id":"x","attempt":2,"readings":[{"metric":"a","time":1795492798000,"value":1,"unit":"C"}],"z":[1,{"k":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if strings.Count(string(data), "[")+strings.Count(string(data), "{") > maxDepth || strings.Count(string(data), ":") > maxUnknown {
			return // bounds of our own, which the reference does not have
		}
		want, broken := referenceDocument(data, limits, now)
		if got := outcomes(scanAll(string(data), Document, limits)); got != shown(want, broken) {
			t.Errorf("document %q:\ngot  %s\nwant %s", data, got, shown(want, broken))
		}
		want, broken = referenceLines(data, limits, now)
		if got := outcomes(scanAll(string(data), Lines, limits)); got != shown(want, broken) {
			t.Errorf("lines %q:\ngot  %s\nwant %s", data, got, shown(want, broken))
		}
	})
}

// shown are reports, nil where one is refused, as a text. Those of a broken document do not count: none of them is taken.
func shown(reports []*schemas.TelemetryReported, broken bool) string {
	if broken {
		return "broken"
	}
	var b strings.Builder
	for _, r := range reports {
		if r == nil {
			b.WriteString("refused\n")
			continue
		}
		fmt.Fprintf(&b, "%+v\n", *r)
	}
	return b.String()
}

func outcomes(reports []*schemas.TelemetryReported, refusals []*Refusal) string {
	broken := false
	for i, refusal := range refusals {
		if refusal != nil {
			broken = broken || refusal.Broken
			reports[i] = nil
		}
	}
	return shown(reports, broken)
}

func FuzzNumber(f *testing.F) {
	for _, seed := range []string{"0", "-0.0", "1.7976931348623157e308", "123456789012345678901234567890", "4.35", "0.1e-5", "9007199254740993.0", "1e23", "01", "1.", "-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := Scanner{buf: []byte(text)}
		n, ok := s.number()
		value := jsontext.Value(text)
		isNumber := value.Kind() == '0' && value.IsValid() && strings.TrimSpace(text) == text
		if whole := ok && s.pos == len(text); whole != isNumber {
			t.Errorf("%q: taken as a number: %v, want %v", text, whole, isNumber)
		}
		if !isNumber {
			return
		}
		want, err := strconv.ParseFloat(text, 64)
		got, finite := n.double()
		if finite != (err == nil) || finite && math.Float64bits(got) != math.Float64bits(want) {
			t.Errorf("%s: got %v %v, want %v %v", text, got, finite, want, err)
		}
		wantInt, err := strconv.ParseInt(text, 10, 64)
		if gotInt, fits := n.integer(); fits != (err == nil) || fits && gotInt != wantInt {
			t.Errorf("%s: got %v %v, want %v %v", text, gotInt, fits, wantInt, err)
		}
	})
}

func FuzzTime(f *testing.F) {
	for _, seed := range []string{"2026-11-24T04:00:00Z", "2024-02-29T23:59:59.999999999-23:59", "2023-02-29T00:00:00Z", "0001-01-01T00:00:00+00:00", "2026-11-24t04:00:00z", "2026-11-24T04:00:60Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseTime(text)
		want, err := strictTime(text)
		if ok != (err == nil) || ok && int64(got) != want.UnixMicro() {
			t.Errorf("%q: got %v %v, want %v %v", text, got, ok, want, err)
		}
	})
}

func body(readings int, array bool) []byte {
	var b strings.Builder
	b.WriteString(`{"client":"cliente02","device":"pump-7","time":"2026-11-24T03:59:59.5Z","readings":`)
	open, end := "{", "}"
	if array {
		open, end = "[", "]"
	}
	b.WriteString(open)
	for i := range readings {
		if i > 0 {
			b.WriteByte(',')
		}
		if array {
			fmt.Fprintf(&b, `{"metric":"temperature_%d","time":"2026-11-24T03:59:58.25Z","value":%d.%d,"unit":"C"}`, i%10, i, i%10)
		} else {
			fmt.Fprintf(&b, `"temperature_%d":%d.%d`, i, i, i%10)
		}
	}
	b.WriteString(end + "}")
	return []byte(b.String())
}

// BenchmarkScan beside a scan of the same bytes that only looks at each.
func BenchmarkScan(b *testing.B) {
	for _, readings := range []int{1, 10, 100} {
		for _, array := range []bool{false, true} {
			data := body(readings, array)
			per := func(b *testing.B) {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(readings), "ns/reading")
			}
			b.Run(fmt.Sprintf("readings=%d/array=%v", readings, array), func(b *testing.B) {
				var s Scanner
				var report schemas.TelemetryReported
				b.ReportAllocs()
				b.SetBytes(int64(len(data)))
				for b.Loop() {
					s.Start(data, Document, limits, now)
					if _, refusal := s.Next(&report); refusal != nil {
						b.Fatal(refusal)
					}
				}
				per(b)
			})
			b.Run(fmt.Sprintf("ceiling/readings=%d/array=%v", readings, array), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				var acc class
				for b.Loop() {
					acc |= look(data)
				}
				if acc == 0 {
					b.Fatal("nothing seen")
				}
				per(b)
			})
		}
	}
}

// look is the ceiling: it looks at each byte, and keeps what it saw in a register, which a variable of the benchmark's loop is not.
func look(data []byte) (seen class) {
	for _, c := range data {
		seen |= classes[c]
	}
	return seen
}
