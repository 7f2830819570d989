package fleet

import (
	"strconv"
	"time"
)

// metricsPerReport is how many readings a well-behaved report has.
const metricsPerReport = 6

// report is one message of one device, due at a time.
type report struct {
	device *device
	due    time.Time
}

// eventID is the same whenever the same report is sent, so that a sender's retry can be recognised.
func (r report) eventID(dst []byte) []byte {
	dst = append(dst, r.device.client...)
	dst = append(dst, '.')
	dst = append(dst, r.device.name...)
	dst = append(dst, '.')
	return strconv.AppendInt(dst, r.due.UnixMilli(), 10)
}

// misbehaviour of a report. One report in three of the device that misbehaves is wrong, in turns.
type misbehaviour int

const (
	behaves misbehaviour = iota
	wrongType
	farFuture
	noDevice
)

func (r report) misbehaviour() misbehaviour {
	h := mix(r.device.seed, 13, uint64(r.due.UnixMilli()))
	if !r.device.misbehaves || h%3 != 0 {
		return behaves
	}
	return wrongType + misbehaviour(h/3%3)
}

// appendJSON appends the report as one line of NDJSON.
func (r report) appendJSON(dst []byte) []byte {
	wrong, due := r.misbehaviour(), r.due
	if wrong == farFuture {
		due = due.AddDate(40, 0, 0)
	}
	dst = append(dst, `{"client":"`...)
	dst = append(dst, r.device.client...)
	if wrong != noDevice {
		dst = append(dst, `","device":"`...)
		dst = append(dst, r.device.name...)
	}
	dst = append(dst, `","event_id":"`...)
	dst = r.eventID(dst)
	dst = append(dst, `","time":`...)
	dst = strconv.AppendInt(dst, due.UnixMilli(), 10)
	dst = append(dst, `,"labels":`...)
	dst = append(dst, r.device.labels...)
	dst = append(dst, `,"readings":{"temperature":`...)
	dst = r.device.at(r.due).appendJSON(dst, wrong)
	return append(dst, "}}\n"...)
}

// appendJSON appends the readings, beginning with the temperature's value.
func (s sample) appendJSON(dst []byte, wrong misbehaviour) []byte {
	if wrong == wrongType {
		dst = append(dst, `{"celsius":21}`...)
	} else {
		dst = strconv.AppendFloat(dst, s.temperature, 'f', 2, 64)
	}
	dst = append(dst, `,"power":`...)
	dst = strconv.AppendFloat(dst, s.power, 'f', 1, 64)
	dst = append(dst, `,"vibration":`...)
	dst = strconv.AppendFloat(dst, s.vibration, 'f', 3, 64)
	dst = append(dst, `,"battery":`...)
	dst = strconv.AppendInt(dst, s.battery, 10)
	dst = append(dst, `,"running":`...)
	dst = strconv.AppendBool(dst, s.running)
	dst = append(dst, `,"state":"`...)
	dst = append(dst, s.state...)
	return append(dst, '"')
}
