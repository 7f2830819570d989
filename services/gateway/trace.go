package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
	"unsafe"
)

// trace is a request's place in a trace (W3C Trace Context, version 00).
type trace struct {
	// id is 32 hexadecimal digits.
	id string
	// parent is the traceparent header that continues the trace: our span is the parent of what follows.
	parent string
}

// traceOf continues the trace of a request, or begins one.
func traceOf(r *http.Request) trace {
	id, flags := "", "01"
	if parts := strings.Split(r.Header.Get("traceparent"), "-"); len(parts) >= 4 && validTraceparent(parts) {
		id, flags = parts[1], parts[3]
	}
	if id == "" {
		id = randomHex() + randomHex()
	}
	return trace{id: id, parent: "00-" + id + "-" + randomHex() + "-" + flags}
}

// traceFrom continues a trace by its id, 32 hexadecimal digits or a UUID.
func traceFrom(id string) (t trace, valid bool) {
	if len(id) == 36 {
		id = strings.ToLower(strings.ReplaceAll(id, "-", ""))
	}
	if len(id) != 32 || !isHex(id) || strings.Trim(id, "0") == "" {
		return trace{}, false
	}
	return trace{id: id, parent: "00-" + id + "-" + randomHex() + "-01"}, true
}

func validTraceparent(parts []string) bool {
	return len(parts[0]) == 2 && parts[0] != "ff" && (parts[0] != "00" || len(parts) == 4) && isHex(parts[0]) &&
		len(parts[1]) == 32 && isHex(parts[1]) && strings.Trim(parts[1], "0") != "" &&
		len(parts[2]) == 16 && isHex(parts[2]) && strings.Trim(parts[2], "0") != "" &&
		len(parts[3]) == 2 && isHex(parts[3])
}

func isHex(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// randomHex returns 16 hexadecimal digits that are not all zero, from the runtime's ChaCha8 generator.
func randomHex() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64()|1)
	return hex.EncodeToString(b[:])
}

// ids makes event ids: UUIDs of version 7 (RFC 9562), whose first 48 bits are the time in milliseconds.
type ids struct{ text [36]byte }

// next returns an id that is valid until the next call.
func (g *ids) next(now time.Time) string {
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now.UnixMilli())<<16|0x7000|rand.Uint64()&0x0fff)
	binary.BigEndian.PutUint64(raw[8:], 1<<63|rand.Uint64()>>2)
	t := &g.text
	hex.Encode(t[:8], raw[:4])
	hex.Encode(t[9:13], raw[4:6])
	hex.Encode(t[14:18], raw[6:8])
	hex.Encode(t[19:23], raw[8:10])
	hex.Encode(t[24:], raw[10:])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return unsafe.String(&t[0], len(t))
}
