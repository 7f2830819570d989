package avro

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	hamba "github.com/hamba/avro/v2"
)

// every is a schema with every type that Avro has, twice over where a type has more than one form.
const every = `{"type":"record","name":"Every","namespace":"com.example","fields":[
	{"name":"s","type":"string"}, {"name":"b","type":"bytes"}, {"name":"i","type":"int"}, {"name":"l","type":"long"},
	{"name":"f","type":"float"}, {"name":"d","type":"double"}, {"name":"t","type":"boolean"}, {"name":"n","type":"null"},
	{"name":"e","type":{"type":"enum","name":"Colour","symbols":["RED","GREEN"]}},
	{"name":"x","type":{"type":"fixed","name":"Two","size":2}},
	{"name":"a","type":{"type":"array","items":"int"}}, {"name":"m","type":{"type":"map","values":"long"}},
	{"name":"o","type":["null","string"]}, {"name":"u","type":["double","long","boolean","string"]},
	{"name":"r","type":["null",{"type":"record","name":"Node","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","Node"]}]}]},
	{"name":"k","type":["null","Colour","Two"]},
	{"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}, {"name":"day","type":{"type":"int","logicalType":"date"}},
	{"name":"when","type":["null",{"type":"long","logicalType":"timestamp-micros"}]},
	{"name":"money","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}]}`

const everyValue = `{"s":"ä\u0001","b":"AQI=","i":-2147483648,"l":9007199254740993,"f":1.5,"d":1e+300,"t":true,"n":null,"e":"GREEN","x":"AAE=",` +
	`"a":[1,2,3],"m":{"p":1,"q":2},"o":"x","u":20.0,"r":{"v":1,"next":{"v":2,"next":null}},"k":"RED",` +
	`"at":"2026-11-24T04:00:00.123Z","day":"1969-12-31","when":"2026-11-24T04:00:00.123456Z","money":"AQ=="}`

func schemaOf(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestJSONHoldsEveryTypeThereAndBack(t *testing.T) {
	s := schemaOf(t, every)
	data, err := FromJSON(s, []byte(everyValue))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ToJSON(s, data)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != everyValue {
		t.Errorf("got  %s\nwant %s", text, everyValue)
	}

	var theirs map[string]any // what the general library reads from our bytes
	if err := hamba.Unmarshal(s.record, data, &theirs); err != nil {
		t.Fatal(err)
	}
	f := func(field string, want any) {
		t.Helper()
		if got := theirs[field]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the general library reads %v, want %v", field, got, want)
		}
	}
	f("l", int64(9007199254740993))
	f("e", "GREEN")
	f("x", [2]byte{0, 1})
	f("u", 20.0)
	f("m", map[string]any{"p": 1, "q": 2})
	f("money", big.NewRat(1, 100))
	f("day", time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC))
	f("at", time.Date(2026, 11, 24, 4, 0, 0, 123e6, time.UTC))
}

func TestEveryTruncationOfEveryTypeIsCorrupt(t *testing.T) {
	s := schemaOf(t, every)
	data, err := FromJSON(s, []byte(everyValue))
	if err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := ToJSON(s, data[:n]); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d of %d bytes: got %v, want ErrCorrupt", n, len(data), err)
		}
	}
	if _, err := ToJSON(s, append(data, 0)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("one byte too many: got %v, want ErrCorrupt", err)
	}
}

func TestEveryMisfitIsNamed(t *testing.T) {
	s := schemaOf(t, every)
	f := func(was, is, field, reason string) {
		t.Helper()
		_, err := FromJSON(s, []byte(strings.Replace(everyValue, was, is, 1)))
		var m *Misfit
		if !errors.As(err, &m) || m.Field != field || !strings.Contains(m.Reason, reason) {
			t.Errorf("%s: got %v, want %q and %q", is, err, field, reason)
		}
	}
	f(`"b":"AQI="`, `"b":"%"`, "b", "base64")
	f(`-2147483648`, `-2147483649`, "i", "32 bits")
	f(`9007199254740993`, `9223372036854775808`, "l", "64 bits")
	f(`9007199254740993`, `1.5`, "l", "whole")
	f(`"f":1.5`, `"f":1e99`, "f", "float")
	f(`1e+300`, `1e+999`, "d", "double")
	f(`1e+300`, `"NaN"`, "d", "got a text")
	f(`"n":null`, `"n":0`, "n", "null")
	f(`"GREEN"`, `"BLUE"`, "e", "RED, GREEN")
	f(`"GREEN"`, `1`, "e", "RED, GREEN")
	f(`"AAE="`, `"AA=="`, "x", "2 bytes")
	f(`[1,2,3]`, `[1,2,"3"]`, "a[2]", "got a text")
	f(`[1,2,3]`, `{}`, "a", "array")
	f(`"q":2`, `"q":true`, "m.q", "boolean")
	f(`"o":"x"`, `"o":1`, "o", "want string")
	f(`"u":20.0`, `"u":[]`, "u", "no branch of double, long, boolean, string")
	f(`"next":{"v":2`, `"next":{"v":"2"`, "r.next.v", "got a text")
	f(`"k":"RED"`, `"k":"BLUE"`, "k", "no branch of null, Colour, Two")
	f(`2026-11-24T04:00:00.123Z`, `yesterday`, "at", "RFC 3339")
	f(`1969-12-31`, `31.12.1969`, "day", "2006-01-02")
	f(`"day"`, `"dai"`, "day", "missing")
	f(`"day"`, `"y":1,"day"`, "y", "unknown")
}

func TestDefaultsStandIn(t *testing.T) {
	s := schemaOf(t, `{"type":"record","name":"D","fields":[
		{"name":"s","type":"string","default":"x"}, {"name":"b","type":"bytes","default":"\u00ff"}, {"name":"i","type":"int","default":-7},
		{"name":"l","type":"long","default":7}, {"name":"f","type":"float","default":0.5}, {"name":"d","type":"double","default":5},
		{"name":"t","type":"boolean","default":true}, {"name":"o","type":["null","string"],"default":null},
		{"name":"u","type":["double","long"],"default":5}, {"name":"a","type":{"type":"array","items":["double","long"]},"default":[1]},
		{"name":"m","type":{"type":"map","values":"int"},"default":{"k":1}},
		{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]},"default":"B"},
		{"name":"x","type":{"type":"fixed","name":"X","size":2},"default":"\u0001\u0002"},
		{"name":"r","type":{"type":"record","name":"R","fields":[{"name":"p","type":"int","default":3},{"name":"q","type":["null","int"],"default":null}]},"default":{}}]}`)
	data, err := FromJSON(s, []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := ToJSON(s, data)
	const want = `{"s":"x","b":"/w==","i":-7,"l":7,"f":0.5,"d":5,"t":true,"o":null,"u":5.0,"a":[1.0],"m":{"k":1},"e":"B","x":"AQI=","r":{"p":3,"q":null}}`
	if err != nil || string(text) != want {
		t.Errorf("got  %s (%v)\nwant %s", text, err, want)
	}
}

// TestHostileBytesStayBounded reads bytes that claim more than they hold.
func TestHostileBytesStayBounded(t *testing.T) {
	list := schemaOf(t, `{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}`)
	if _, err := ToJSON(list, []byte(strings.Repeat("\x02", 1<<20))); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a million levels: got %v, want ErrCorrupt", err)
	}
	nulls := schemaOf(t, `{"type":"record","name":"N","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}`)
	if _, err := ToJSON(nulls, appendLong(nil, 1<<40)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a million million nulls: got %v, want ErrCorrupt", err)
	}
	wide := schemaOf(t, `{"type":"record","name":"W","fields":[{"name":"n","type":"int"}]}`)
	if text, err := ToJSON(wide, appendLong(nil, 1<<40)); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an int of 41 bits: got %s %v, want ErrCorrupt", text, err)
	}
	src := source{buf: []byte(strings.Repeat("\x02", 1<<20))}
	if src.skip(list.record); !src.bad {
		t.Error("a million levels were skipped")
	}
}

// FuzzJSON holds that what FromJSON takes comes back from ToJSON, is taken again, and is then the same bytes.
func FuzzJSON(f *testing.F) {
	s := schemaOf(f, every)
	f.Add([]byte(everyValue))
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := FromJSON(s, text)
		if err != nil {
			return
		}
		back, err := ToJSON(s, data)
		if err != nil {
			t.Fatalf("%s was taken and does not come back: %v", text, err)
		}
		again, err := FromJSON(s, back)
		if err != nil || string(again) != string(data) {
			t.Fatalf("%s came back as %s, which is %x, not %x (%v)", text, back, again, data, err)
		}
	})
}
