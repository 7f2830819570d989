package eventlog

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// TraceID returns a trace id as W3C has it, 32 hexadecimal digits, which a UUID is with hyphens in it; empty when it is none.
func TraceID(text string) string {
	if len(text) == 36 {
		text = strings.ReplaceAll(text, "-", "")
	}
	text = strings.ToLower(text)
	if raw, err := hex.DecodeString(text); err != nil || len(raw) != 16 {
		return ""
	}
	return text
}

// traceparent returns a W3C traceparent that continues a trace, with a span of its own; empty when the id is none of W3C's.
func traceparent(traceID string) string {
	id := TraceID(traceID)
	if id == "" {
		return ""
	}
	return fmt.Sprintf("00-%s-%016x-01", id, rand.Uint64()|1)
}
