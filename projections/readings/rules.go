package readings

import (
	"fmt"
	"math"

	"github.com/fieldlog/fieldlog/schemas"
)

// Bounds of one report. The gateway keeps far below them; other producers may not.
const (
	// MaxReadings is what fits the 20 bits that a reading's index has in its rank.
	MaxReadings = 1 << 20
	// MaxMonths bounds the months that the readings of one report lie in, each of which is an insert of its own.
	MaxMonths = 100
)

// Violation says which rule a report breaks. No retry can mend it.
type Violation struct{ Rule string }

// Error implements error.
func (v *Violation) Error() string { return v.Rule }

func violation(format string, args ...any) error {
	return &Violation{Rule: fmt.Sprintf(format, args...)}
}

// check returns a *Violation for the first rule that r breaks.
func (b *Block) check(r *schemas.TelemetryReported) error {
	switch {
	case r.Client == "":
		return violation("client is empty")
	case r.Device == "":
		return violation("device is empty")
	case len(r.Readings) == 0:
		return violation("the report has no reading")
	case len(r.Readings) >= MaxReadings:
		return violation("the report has %d readings, fewer than %d are allowed", len(r.Readings), MaxReadings)
	case !holds(r.ReceivedTime):
		return violation("received_time %d is outside 1970 to 2105", r.ReceivedTime)
	case !holds(r.EventTime):
		return violation("event_time %d is outside 1970 to 2105", r.EventTime)
	}
	return b.checkReadings(r.Readings)
}

func (b *Block) checkReadings(list []schemas.Reading) error {
	first, last := list[0].Time, list[0].Time
	for i := range list {
		reading := &list[i]
		if !holds(reading.Time) {
			return violation("readings[%d]: time %d is outside 1970 to 2105", i, reading.Time)
		}
		if reading.Metric == "" {
			return violation("readings[%d]: metric is empty", i)
		}
		if reading.Value.Type() == schemas.Double && !finite(reading.Value.Double()) {
			return violation("readings[%d]: value is not finite", i)
		}
		first, last = min(first, reading.Time), max(last, reading.Time)
	}
	if b.reading != nil && b.reading.span.holds(int64(first)) && b.reading.span.holds(int64(last)) {
		return nil // nearly always
	}
	if s := spanOf(int64(first)); s.holds(int64(last)) {
		return nil
	}
	return checkMonths(list)
}

// checkMonths counts the months that readings lie in.
func checkMonths(list []schemas.Reading) error {
	months, s := map[Month]bool{}, span{}
	for i := range list {
		if s.holds(int64(list[i].Time)) {
			continue
		}
		s = spanOf(int64(list[i].Time))
		if months[s.month] = true; len(months) > MaxMonths {
			return violation("the readings lie in more than %d months", MaxMonths)
		}
	}
	return nil
}

func holds(t schemas.Time) bool { return t >= MinTime && t <= MaxTime }

// finite tells whether v is neither NaN nor infinite: all exponent bits of those are set.
func finite(v float64) bool {
	return math.Float64bits(v)&0x7FF0_0000_0000_0000 != 0x7FF0_0000_0000_0000
}
