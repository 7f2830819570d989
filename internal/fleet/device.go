package fleet

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// device is one simulated device. What it measures is a pure function of its seed and the time.
type device struct {
	client, name string
	labels       string // JSON object
	model        model
	seed         uint64
	phase        float64 // of its day, -0.5..0.5 h: no two neighbours wake at once
	scale        float64 // how large this one is beside its model
	drift        float64 // how fast its sensor ages, a share a day
	misbehaves   bool
}

// model is a kind of device.
type model struct {
	name               string
	temperature, swing float64 // °C: daily mean, and how far the day moves it
	idle, load         float64 // W
	vibration          float64 // mm/s at full load
	opens, closes      float64 // hours of the day between which it works
	batteryDays        float64
}

func models() []model {
	return []model{
		{name: "pump", temperature: 31, swing: 6, idle: 40, load: 1500, vibration: 4.5, opens: 5, closes: 22, batteryDays: 30},
		{name: "boiler", temperature: 68, swing: 9, idle: 120, load: 9000, vibration: 0.8, opens: 4, closes: 23, batteryDays: 60},
		{name: "fan", temperature: 26, swing: 4, idle: 5, load: 350, vibration: 2.2, opens: 7, closes: 20, batteryDays: 20},
		{name: "fridge", temperature: 4, swing: 1.2, idle: 60, load: 420, vibration: 1.1, opens: 0, closes: 24, batteryDays: 45},
		{name: "meter", temperature: 22, swing: 5, idle: 2, load: 3200, vibration: 0.1, opens: 6, closes: 23, batteryDays: 90},
	}
}

// devicesOf returns the devices of a fleet, spread over its clients. The last one misbehaves, if there are several.
func devicesOf(devices, clients int, seed uint64) []device {
	kinds := models()
	sites := []string{"lisboa", "porto", "braga", "faro", "coimbra"}
	all := make([]device, devices)
	for i := range all {
		h := mix(seed, uint64(i), 0)
		kind := kinds[h%uint64(len(kinds))]
		client := i % clients
		all[i] = device{
			client: fmt.Sprintf("cliente%02d", client+1),
			name:   kind.name + "-" + strconv.Itoa(i/clients+1),
			labels: fmt.Sprintf(`{"model":%q,"site":%q}`, kind.name, sites[client%len(sites)]),
			model:  kind, seed: h,
			phase:      unit(mix(h, 1, 0)) - 0.5,
			scale:      0.7 + 0.6*unit(mix(h, 2, 0)),
			drift:      0.004 * (unit(mix(h, 3, 0)) - 0.5),
			misbehaves: devices > 1 && i == devices-1,
		}
	}
	return all
}

// sample is what a device measures at one time.
type sample struct {
	temperature, power, vibration float64
	battery                       int64
	running                       bool
	state                         string
}

const faultHours = 6 // a device has a fault in one of fifty spans of this many hours

// at measures. Times are the device's own day, in UTC.
func (d *device) at(t time.Time) sample {
	m, second := d.model, t.Unix()
	hour := float64(second%86400)/3600 + d.phase
	day := float64(second) / 86400
	running := hour >= m.opens && hour < m.closes && unit(mix(d.seed, 10, uint64(second/300))) < 0.85
	fault := mix(d.seed, 11, uint64(second/(faultHours*3600)))%50 == 0
	load := 0.0
	if running {
		load = d.scale * (0.55 + 0.35*math.Sin((hour-8)*math.Pi/12) + 0.05*d.noise(20, t))
	}
	s := sample{
		temperature: m.temperature + m.swing*math.Sin((hour-9)*math.Pi/12) + 3*load + 0.15*d.noise(21, t),
		power:       (m.idle + m.load*load) * (1 + 0.01*d.noise(22, t)),
		vibration:   m.vibration * (0.1 + load) * (1 + 0.06*math.Abs(d.noise(23, t))),
		battery:     100 - int64(85*frac(day/m.batteryDays+unit(d.seed))),
		running:     running,
		state:       stateOf(running, fault),
	}
	s.temperature *= 1 + d.drift*math.Mod(day, 30) // recalibrated every 30 days
	if fault {
		s.temperature, s.vibration = s.temperature+12, s.vibration*2.5
	}
	return s
}

func stateOf(running, fault bool) string {
	switch {
	case fault:
		return "fault"
	case running:
		return "ok"
	}
	return "idle"
}

// out tells whether the device is silent: for ten minutes, once in about seventeen hours.
func (d *device) out(t time.Time) bool {
	return mix(d.seed, 12, uint64(t.Unix()/600))%100 == 0
}

// noise is about normal with variance 1: the sum of four uniform numbers.
func (d *device) noise(signal uint64, t time.Time) float64 {
	h := mix(d.seed, signal, uint64(t.UnixMilli()))
	sum := 0.0
	for range 4 {
		sum += float64(h & 0xffff)
		h >>= 16
	}
	return (sum/65536 - 2) * 1.732
}

// mix hashes three numbers into one (the finaliser of SplitMix64, applied to each).
func mix(seed, a, b uint64) uint64 {
	h := seed
	for _, v := range [2]uint64{a, b} {
		h += v + 0x9e3779b97f4a7c15
		h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
		h = (h ^ h>>27) * 0x94d049bb133111eb
		h ^= h >> 31
	}
	return h
}

// unit turns a hash into a number from 0 up to 1.
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

func frac(v float64) float64 { return v - math.Floor(v) }
