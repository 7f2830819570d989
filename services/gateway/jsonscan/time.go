package jsonscan

import (
	"math"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// time reads a time: RFC 3339, or milliseconds since 1970, whole or with a fraction.
func (s *Scanner) time(into *schemas.Time, name string) bool {
	switch c := s.peek(); {
	case c == '"':
		text, _, ok := s.text()
		if !ok {
			return false
		}
		t, valid := ParseTime(text)
		if !valid {
			s.refuse(s.place(name), "want a time as in RFC 3339, 2026-11-24T04:00:00Z, or milliseconds since 1970")
			return true
		}
		return s.setTime(into, t, name)
	case c == '-' || '0' <= c && c <= '9':
		n, ok := s.number()
		if !ok {
			return false
		}
		t, fits := n.milliseconds()
		if !fits {
			s.refuse(s.place(name), "is too far away")
			return true
		}
		return s.setTime(into, t, name)
	}
	s.refuse(s.place(name), "want a time as in RFC 3339, 2026-11-24T04:00:00Z, or milliseconds since 1970")
	return s.skip(1)
}

func (s *Scanner) setTime(into *schemas.Time, t schemas.Time, name string) bool {
	switch {
	case t < s.limits.Oldest:
		s.refuse(s.place(name), "is too long ago: earliest is "+s.limits.Oldest.Time().Format(time.RFC3339))
	case t > s.limits.Newest:
		s.refuse(s.place(name), "lies in the future: latest is "+s.limits.Newest.Time().Format(time.RFC3339))
	}
	*into = t
	return true
}

// milliseconds returns the instant that many milliseconds after 1970, to the microsecond.
func (n *number) milliseconds() (schemas.Time, bool) {
	if v, fits := n.integer(); fits {
		return schemas.Time(v * 1000), v > -math.MaxInt64/1000 && v < math.MaxInt64/1000
	}
	f, finite := n.double()
	if !finite || math.Abs(f) > math.MaxInt64/2000 {
		return 0, false
	}
	return schemas.Time(math.Round(f * 1000)), true
}

// ParseTime reads RFC 3339 ("2026-11-24T04:00:00.123456789+01:00"), cutting what is finer than a microsecond. A space or
// lower-case letters instead of 'T' and 'Z', leap seconds and years before 1 are not taken.
func ParseTime(text string) (schemas.Time, bool) {
	if len(text) < len("2006-01-02T15:04:05Z") || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	year, ok1 := decimal(text[0:4])
	month, ok2 := decimal(text[5:7])
	day, ok3 := decimal(text[8:10])
	hour, ok4 := decimal(text[11:13])
	minute, ok5 := decimal(text[14:16])
	second, ok6 := decimal(text[17:19])
	digits := ok1 && ok2 && ok3 && ok4 && ok5 && ok6
	if !digits || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	micros, rest, ok := fraction(text[19:])
	if !ok {
		return 0, false
	}
	offset, ok := zone(rest)
	if !ok {
		return 0, false
	}
	seconds := int64(daysFrom1970(year, month, day))*86_400 + int64(hour*3600+minute*60+second) - int64(offset)
	return schemas.Time(seconds*1_000_000 + int64(micros)), true
}

// decimal reads digits only.
func decimal(text string) (n int, ok bool) {
	for i := range len(text) {
		d := text[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int(d)
	}
	return n, true
}

// fraction reads a point and digits, if there are any, to the microsecond.
func fraction(text string) (micros int, rest string, ok bool) {
	if text == "" || text[0] != '.' {
		return 0, text, text != ""
	}
	digits := 0
	for text = text[1:]; text != "" && text[0]-'0' <= 9; text = text[1:] {
		if digits < 6 {
			micros = micros*10 + int(text[0]-'0')
		}
		digits++
	}
	for n := digits; n < 6; n++ {
		micros *= 10
	}
	return micros, text, digits > 0
}

// zone reads Z or ±hh:mm and returns seconds east of UTC.
func zone(text string) (offset int, ok bool) {
	if text == "Z" {
		return 0, true
	}
	if len(text) != len("+00:00") || text[0] != '+' && text[0] != '-' || text[3] != ':' {
		return 0, false
	}
	hours, ok1 := decimal(text[1:3])
	minutes, ok2 := decimal(text[4:6])
	if !ok1 || !ok2 || hours > 23 || minutes > 59 {
		return 0, false
	}
	offset = hours*3600 + minutes*60
	if text[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysFrom1970 counts the days of the proleptic Gregorian calendar, with years that begin in March so that the leap day is
// the last of a year.
func daysFrom1970(year, month, day int) int {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return era*146_097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719_468
}
