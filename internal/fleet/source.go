package fleet

import "time"

// source tells which reports a sender sends next.
type source interface {
	// next appends the reports to be sent at now, at most maxReports. It returns when to ask again; the zero time if never.
	next(dst []report, now time.Time) ([]report, time.Time)
	// missed returns how many reports were left out since it was last asked.
	missed() int
}

const (
	maxReports = 1000
	tick       = 50 * time.Millisecond // all that is due is sent at each tick
)

// live is the present of every n-th device.
type live struct {
	devices []*device
	offsets []time.Duration // of each device within an interval, ascending
	begun   time.Time
	every   time.Duration
	behind  time.Duration
	sent    int // reports so far; report n is of device n modulo their number
	late    int
}

func (f *Fleet) live(begun time.Time, connection int) source {
	l := &live{begun: begun, every: f.cfg.Every, behind: f.cfg.Behind}
	for i := connection; i < len(f.devices); i += f.cfg.Connections {
		l.devices = append(l.devices, &f.devices[i])
		l.offsets = append(l.offsets, f.cfg.Every*time.Duration(i)/time.Duration(len(f.devices)))
	}
	return l
}

func (l *live) due(n int) time.Time {
	round, i := n/len(l.devices), n%len(l.devices)
	return l.begun.Add(time.Duration(round)*l.every + l.offsets[i])
}

func (l *live) next(dst []report, now time.Time) ([]report, time.Time) {
	for len(dst) < maxReports {
		due := l.due(l.sent)
		if due.After(now) {
			break
		}
		device := l.devices[l.sent%len(l.devices)]
		l.sent++
		switch {
		case now.Sub(due) > l.behind:
			l.late++
		case !device.out(due):
			dst = append(dst, report{device: device, due: due})
		}
	}
	return dst, later(now.Add(tick), l.due(l.sent))
}

func (l *live) missed() int {
	n := l.late
	l.late = 0
	return n
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// past is the history of all devices: one device's hour after the other, so that a request has few devices.
type past struct {
	devices    []device
	start, end time.Time
	rate       int
	device     int
	hour       time.Time // of all devices
	minute     time.Time // of this device
}

func (f *Fleet) past(begun time.Time) source {
	start := begun.Add(-f.cfg.History).Truncate(time.Minute)
	return &past{devices: f.devices, start: start, end: begun, rate: f.cfg.HistoryRate, hour: start, minute: start}
}

func (p *past) next(dst []report, now time.Time) ([]report, time.Time) {
	asked := len(dst)
	for len(dst) < maxReports {
		if !p.minute.Before(p.end) || p.minute.Sub(p.hour) >= time.Hour {
			p.advance()
		}
		if !p.hour.Before(p.end) {
			return dst, time.Time{}
		}
		d := &p.devices[p.device]
		if !d.out(p.minute) && !d.misbehaves {
			dst = append(dst, report{device: d, due: p.minute})
		}
		p.minute = p.minute.Add(time.Minute)
	}
	return dst, now.Add(time.Second * time.Duration(len(dst)-asked) / time.Duration(p.rate))
}

// advance goes to the next device, and after the last one to the next hour.
func (p *past) advance() {
	p.device++
	if p.device == len(p.devices) {
		p.device, p.hour = 0, p.hour.Add(time.Hour)
	}
	p.minute = p.hour
}

func (p *past) missed() int { return 0 }
