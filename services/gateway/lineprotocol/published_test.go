package lineprotocol

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	published "github.com/influxdata/line-protocol/v2/lineprotocol"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

// reference reads a body with the published decoder. It returns the readings that the scanner must return too, and the number
// of lines that are right but that the scanner refuses for a reason of its own. ok is false where the decoder finds
// anything wrong.
func reference(body []byte, o Options) (readings []string, refused int, ok bool) {
	d := published.NewDecoderWithBytes(body)
	for d.Next() {
		line, ours, err := referenceLine(d, &o)
		if err != nil {
			return nil, 0, false
		}
		if ours {
			readings = append(readings, line...)
		} else {
			refused++
		}
	}
	return readings, refused, true
}

func referenceLine(d *published.Decoder, o *Options) (readings []string, ours bool, err error) {
	name, err := d.Measurement()
	if err != nil {
		return nil, false, err
	}
	measurement := string(name)
	var labels []schemas.Label
	for {
		key, value, err := d.NextTag()
		if err != nil {
			return nil, false, err
		}
		if key == nil {
			break
		}
		labels = append(labels, schemas.Label{Name: string(key), Value: string(value)})
	}
	owner, ours := referenceOwner(labels, o)
	type field struct {
		metric string
		value  schemas.Value
	}
	var fields []field
	for {
		key, kind, raw, err := d.NextFieldBytes()
		if err != nil {
			return nil, false, err
		}
		if key == nil {
			break
		}
		v, err := published.NewValueFromBytes(kind, raw)
		if err != nil {
			return nil, false, err
		}
		metric := measurement + "." + string(key)
		if string(key) == "value" {
			metric = measurement
		}
		value, fits := referenceValue(v)
		fits = fits && (kind != published.Float || !bytes.ContainsAny(raw, "_xX")) // Go's own ways to write a number
		ours = ours && fits && len(metric) <= o.Limits.Name && !jsonscan.HasControl(metric)
		fields = append(fields, field{metric, value})
	}
	at, err := d.Time(published.Nanosecond, o.Now.Time())
	for _, f := range fields {
		readings = append(readings, shown(owner, f.metric, f.value, schemas.TimeOf(at)))
	}
	return readings, ours && len(fields) > 0, err
}

// referenceOwner tells whose a line is, and whether its tags are within what the scanner takes.
func referenceOwner(labels []schemas.Label, o *Options) (owner string, ours bool) {
	names := map[string]bool{}
	for _, l := range labels {
		names[l.Name] = true
	}
	ours = len(names) == len(labels) // none stands twice
	client, labels := take(labels, o.ClientTags)
	if client == "" {
		client = o.Client
	}
	device, labels := take(labels, o.DeviceTags)
	for _, name := range []string{client, device} {
		ours = ours && name != "" && len(name) <= o.Limits.Name && !strings.Contains(name, "/") && !jsonscan.HasControl(name)
	}
	for _, l := range labels {
		ours = ours && max(len(l.Name), len(l.Value)) <= o.Limits.Label && !jsonscan.HasControl(l.Name+l.Value)
	}
	return fmt.Sprintf("%q %q %q", client, device, labels), ours && len(labels) <= o.Limits.Labels
}

// referenceValue tells whether the scanner takes a value: no whole number over 63 bits.
func referenceValue(v published.Value) (value schemas.Value, ours bool) {
	switch v.Kind() {
	case published.Int:
		return schemas.IntegerValue(v.IntV()), true
	case published.Uint:
		return schemas.IntegerValue(int64(v.UintV())), v.UintV() <= math.MaxInt64
	case published.Float:
		return schemas.DoubleValue(v.FloatV()), true
	case published.Bool:
		return schemas.BooleanValue(v.BoolV()), true
	}
	return schemas.TextValue(v.StringV()), true
}

// shown is a reading as a text that two readings share only if they are equal. \n, \r and \t in a text are control characters
// to the decoder and two characters each to InfluxDB and us, so they count as equal.
func shown(owner, metric string, v schemas.Value, at schemas.Time) string {
	value := fmt.Sprint(v.Type(), v)
	if v.Type() == schemas.Text {
		value = fmt.Sprintf("%q", strings.NewReplacer(`\n`, "\n", `\r`, "\r", `\t`, "\t").Replace(v.Text()))
	}
	return fmt.Sprintf("%s %q %s %d", owner, metric, value, at)
}

func scanned(s *Scanner) (readings []string) {
	for _, r := range s.Reports {
		owner := fmt.Sprintf("%q %q %q", r.Client, r.Device, r.Labels)
		for _, reading := range r.Readings {
			readings = append(readings, shown(owner, reading.Metric, reading.Value, reading.Time))
		}
	}
	return readings
}

// FuzzScan holds the scanner against the published decoder. A body that the decoder takes whole, the scanner takes with the same
// meaning, but for the lines it refuses for a reason that reference knows. The same goes for each line by itself.
func FuzzScan(f *testing.F) {
	f.Add([]byte("m,device=d a=1,b=\"x\ny\" 5\n# c\nbad\n"))
	f.Add([]byte("m,device=d v=-0x1p4\nm,device=d v=+0X1P4\nm,device=d v=1_0\n"))
	f.Add([]byte("m\\ x,host=h,client=c,t\\==1 value=-7i,b=T,u=7u 1764000000000001999\r\n"))
	o := options
	o.Limits.Readings, o.Limits.Text = math.MaxInt, math.MaxInt
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) { // the scanner refuses such a line, the decoder only such a name or text
			return
		}
		agree(t, body, o)
		for rest := body; len(rest) > 0; {
			var line []byte
			line, rest, _ = cutLine(rest)
			agree(t, line, o)
		}
	})
}

func agree(t *testing.T, body []byte, o Options) {
	t.Helper()
	var s Scanner
	s.Scan(body, o)
	got := scanned(&s)
	want, refused, ok := reference(body, o)
	if !ok {
		return
	}
	slices.Sort(got)
	slices.Sort(want)
	if s.Refused != refused || !slices.Equal(got, want) {
		t.Errorf("%q:\ngot  %q, %d refused: %v\nwant %q, %d refused", body, got, s.Refused, s.Errors, want, refused)
	}
}
