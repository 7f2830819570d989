package fleet

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestDevicesAreTheSameForASeed(t *testing.T) {
	one, same, other := devicesOf(100, 4, 1), devicesOf(100, 4, 1), devicesOf(100, 4, 2)
	differ, names := 0, map[string]bool{}
	for i := range one {
		if one[i] != same[i] || one[i].at(noon) != same[i].at(noon) {
			t.Errorf("device %d: got %+v and %+v for one seed", i, one[i], same[i])
		}
		if one[i].at(noon) != other[i].at(noon) {
			differ++
		}
		names[one[i].client+"/"+one[i].name] = true
	}
	if differ < 90 {
		t.Errorf("got %d of 100 devices that differ with the seed", differ)
	}
	if len(names) != 100 {
		t.Errorf("got %d names for 100 devices", len(names))
	}
}

func TestSignalsAreBelievable(t *testing.T) {
	var running, out, faults, samples int
	for _, d := range devicesOf(50, 3, 1) {
		for at := noon.Add(-24 * time.Hour); at.Before(noon); at = at.Add(10 * time.Minute) {
			s := d.at(at)
			if math.IsNaN(s.temperature) || s.temperature < -10 || s.temperature > 120 {
				t.Errorf("%s at %s: got %.1f °C", d.name, at, s.temperature)
			}
			if s.power < 0 || s.vibration < 0 || s.battery < 15 || s.battery > 100 {
				t.Errorf("%s at %s: got power %.1f, vibration %.3f, battery %d", d.name, at, s.power, s.vibration, s.battery)
			}
			samples++
			running, out, faults = running+count(s.running), out+count(d.out(at)), faults+count(s.state == "fault")
		}
	}
	f := func(name string, got int, from, to float64) {
		t.Helper()
		if share := float64(got) / float64(samples); share < from || share > to {
			t.Errorf("%s: got a share of %.3f, want %.3f to %.3f", name, share, from, to)
		}
	}
	f("running", running, 0.4, 0.8)
	f("out", out, 0.003, 0.03)
	f("fault", faults, 0.003, 0.06)
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestDayHasACurve(t *testing.T) {
	d := devicesOf(1, 1, 1)[0]
	var day, night float64
	for i := range 24 {
		day += d.at(noon.Add(time.Duration(i-30) * time.Minute)).temperature
		night += d.at(noon.Add(12*time.Hour + time.Duration(i-30)*time.Minute)).temperature
	}
	if day <= night {
		t.Errorf("got %.1f °C by day and %.1f by night, want it warmer by day", day/24, night/24)
	}
}

func TestReportsAreJSON(t *testing.T) {
	devices := devicesOf(10, 2, 1)
	wrong := map[misbehaviour]int{}
	for i := range devices {
		for n := range 300 {
			r := report{device: &devices[i], due: noon.Add(time.Duration(n) * time.Second)}
			line := string(r.appendJSON(nil))
			var got struct {
				Client, Device string
				EventID        string `json:"event_id"`
				Time           int64
				Labels         map[string]string
				Readings       map[string]any
			}
			if err := json.Unmarshal([]byte(line), &got); err != nil || !strings.HasSuffix(line, "}\n") {
				t.Fatalf("%q: %v", line, err)
			}
			wrong[r.misbehaviour()]++
			if r.misbehaviour() != behaves {
				if !r.device.misbehaves {
					t.Errorf("%s: got misbehaviour %d", r.device.name, r.misbehaviour())
				}
				continue
			}
			if got.Client != r.device.client || got.Device != r.device.name || got.Time != r.due.UnixMilli() ||
				got.EventID != string(r.eventID(nil)) || len(got.Labels) != 2 || len(got.Readings) != metricsPerReport {
				t.Errorf("got %+v from %s", got, line)
			}
		}
	}
	for _, kind := range []misbehaviour{wrongType, farFuture, noDevice} {
		if wrong[kind] == 0 {
			t.Errorf("got no report of misbehaviour %d", kind)
		}
	}
}

func BenchmarkReport(b *testing.B) {
	d := devicesOf(1, 1, 1)[0]
	var line []byte
	for b.Loop() {
		line = report{device: &d, due: noon}.appendJSON(line[:0])
	}
	b.SetBytes(int64(len(line)))
}
