package lineprotocol

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	published "github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

var (
	now     = schemas.TimeOf(time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC))
	options = Options{
		ClientTags: []string{"client"}, DeviceTags: []string{"device", "host"}, Client: "bucket", Unit: time.Nanosecond, Now: now,
		Limits: jsonscan.Limits{Name: 128, Text: 64, Labels: 8, Label: 64, Readings: 1000, Oldest: math.MinInt64, Newest: math.MaxInt64},
	}
)

func TestLines(t *testing.T) {
	f := func(body string, want ...string) {
		t.Helper()
		var s Scanner
		s.Scan([]byte(body), options)
		var got []string
		for _, r := range s.Reports {
			for _, reading := range r.Readings {
				got = append(got, fmt.Sprintf("%s/%s %v %s=%v @%d", r.Client, r.Device, r.Labels, reading.Metric, reading.Value, reading.Time))
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) || s.Refused > 0 {
			t.Errorf("%q:\ngot  %q (%v)\nwant %q", body, got, s.Errors, want)
		}
	}
	at := fmt.Sprint(now)
	f("m,device=d v=1", "bucket/d [] m.v=1 @"+at)
	f("m,device=d value=1", "bucket/d [] m=1 @"+at)
	f("m,client=c,device=d,site=n v=1i 1764000000000001999", "c/d [{site n}] m.v=1 @1764000000000001")
	f("m,host=h a=t,b=FALSE,c=\"x y,z=1\",d=-1.5e3,e=7u", "bucket/h [] m.a=true @"+at, "bucket/h [] m.b=false @"+at, `bucket/h [] m.c="x y,z=1" @`+at, "bucket/h [] m.d=-1500 @"+at, "bucket/h [] m.e=7 @"+at)
	f(`my\ m\,x,device=a\ b,k\=1=v\,2 f\ 1=1`, `bucket/a b [{k=1 v,2}] my m,x.f 1=1 @`+at)
	f(`m,device=d s="say \"hi\" \\ \x"`, `bucket/d [] m.s="say \"hi\" \\ \\x" @`+at)
	f(`m\=x\y,device=C:\dir\ ,k\\ =v\\\,2 f\\\=1=1`, `bucket/C:\dir  [{k\  v\\,2}] m\=x\y.f\\=1=1 @`+at)
	f(`m,device=d s="C:\new\table"`, `bucket/d [] m.s="C:\\new\\table" @`+at)
	f("m,device=d s=\"two\nlines\"\nm,device=d v=2", "bucket/d [] m.s=\"two\\nlines\" @"+at, "bucket/d [] m.v=2 @"+at)
	f("m,device=\"x v=1\nm,device=\"x v=2", `bucket/"x [] m.v=1 @`+at, `bucket/"x [] m.v=2 @`+at)
	f("# a=\"comment\nm,device=d v=1\n# of=\"two\n", "bucket/d [] m.v=1 @"+at)
	f("m,device=d v=1 -1", "bucket/d [] m.v=1 @-1")
	f("# comment\n\n  m,device=d v=1\r\nm,device=e v=2\nm,device=d v=3", "bucket/d [] m.v=1 @"+at, "bucket/d [] m.v=3 @"+at, "bucket/e [] m.v=2 @"+at)
}

func TestARefusedLineLeavesTheOthers(t *testing.T) {
	var s Scanner
	s.Scan([]byte("m,device=d a=1,b=oops\nm,device=d a=2\nbad\nm,device=\"\\\nm,device=d s=\"open\nm,device=e a=3"), options)
	if len(s.Reports) != 2 || s.Refused != 4 || s.Errors[0].Line != 1 || s.Errors[1].Line != 3 || s.Errors[2].Line != 4 || s.Errors[3].Line != 5 {
		t.Errorf("got %+v, refused %d: %v", s.Reports, s.Refused, s.Errors)
	}
	if len(s.Reports[0].Readings) != 1 || s.Reports[0].Readings[0].Value.Double() != 2 {
		t.Errorf("got %+v", s.Reports)
	}
}

// TestWhatIsNoNumberIsRefused has what Go takes for a number and InfluxDB does not.
func TestWhatIsNoNumberIsRefused(t *testing.T) {
	for _, value := range []string{
		"0x1p4", "0X1P4", "-0x1p4", "+0x1p4", "-0X1p4", "1_000", "-1_0", "0x_1p4", "inf", "-Inf", "+infinity", "nan", "NaN", "1e999", "--1", "1.2.3", "-", "x",
		"0x10i", "-0x10i", "1_0i", "+1i",
	} {
		var s Scanner
		s.Scan([]byte("m,device=d v="+value), options)
		if got := scanned(&s); s.Refused != 1 || len(got) != 0 {
			t.Errorf("%s: got %q, want it refused", value, got)
		}
	}
}

func TestPrecision(t *testing.T) {
	f := func(precision, stamp string, want schemas.Time) {
		t.Helper()
		o := options
		o.Unit, _ = ParsePrecision(precision)
		var s Scanner
		s.Scan([]byte("m,device=d v=1 "+stamp), o)
		if s.Refused > 0 || s.Reports[0].Readings[0].Time != want {
			t.Errorf("%s %s: got %+v %v, want %d", precision, stamp, s.Reports, s.Errors, want)
		}
	}
	f("", "1764000000123456789", 1764000000123456)
	f("us", "1764000000123456", 1764000000123456)
	f("u", "1764000000123456", 1764000000123456)
	f("ms", "1764000000123", 1764000000123000)
	f("s", "1764000000", 1764000000000000)
	f("m", "29400000", 1764000000000000)
	f("h", "490000", 1764000000000000)
}

// FuzzEncoded encodes with the published encoder and must read the same back.
func FuzzEncoded(f *testing.F) {
	f.Add("weather", "device", "roof top", "temp,x", "say \"hi\"\\", 21.5, int64(-7), true)
	f.Fuzz(func(t *testing.T, measurement, tag, value, field, text string, double float64, integer int64, boolean bool) {
		var e published.Encoder
		e.SetPrecision(published.Nanosecond)
		e.StartLine(measurement)
		if tag < "device" {
			e.AddTag(tag, value)
		}
		e.AddTag("device", "d")
		if tag > "device" {
			e.AddTag(tag, value)
		}
		str, ok := published.StringValue(text)
		number, finite := published.FloatValue(double)
		if !ok || !finite || tag == "device" || tag == "host" || tag == "client" || field == "n" || field == "f" || field == "b" {
			return
		}
		e.AddField(field, str)
		e.AddField("n", published.IntValue(integer))
		e.AddField("f", number)
		e.AddField("b", published.BoolValue(boolean))
		e.EndLine(time.Unix(0, 1764000000123456000))
		line := e.Bytes()
		plain := measurement + tag + value + field
		if e.Err() != nil || jsonscan.HasControl(plain+text) || !utf8.ValidString(plain+text) || len(plain) > 60 || len(text) > 60 || strings.HasPrefix(measurement, "#") || strings.TrimLeft(measurement, " \t") != measurement {
			return
		}
		var s Scanner
		s.Scan(line, options)
		if s.Refused > 0 || len(s.Reports) != 1 || len(s.Reports[0].Readings) != 4 {
			t.Fatalf("%q: got %+v %v", line, s.Reports, s.Errors)
		}
		metric := measurement + "." + field
		if field == "value" {
			metric = measurement
		}
		got := s.Reports[0].Readings
		if got[0].Metric != metric || got[0].Value.Text() != text || got[1].Value.Integer() != integer || got[2].Value.Double() != double || got[3].Value.Boolean() != boolean {
			t.Errorf("%q: got %+v", line, got)
		}
		if labels := s.Reports[0].Labels; len(labels) != 1 || labels[0].Name != tag || labels[0].Value != value {
			t.Errorf("%q: labels %+v, want %q=%q", line, labels, tag, value)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	var body strings.Builder
	for i := range 100 {
		fmt.Fprintf(&body, "weather,device=roof-%d,site=north temperature=%d.5,humidity=%di 17640000001234%05d\n", i/10, i, i, i)
	}
	data := []byte(body.String())
	var s Scanner
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if s.Scan(data, options); s.Refused > 0 {
			b.Fatal(s.Errors)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200, "ns/reading")
}
