package eventlog

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// traceparent returns a W3C traceparent that continues a trace, with a span of its own; empty when the id is none of W3C's. A UUID
// is one with hyphens in it.
func traceparent(traceID string) string {
	if len(traceID) == 36 {
		traceID = strings.ToLower(strings.ReplaceAll(traceID, "-", ""))
	}
	if raw, err := hex.DecodeString(traceID); err != nil || len(raw) != 16 {
		return ""
	}
	return fmt.Sprintf("00-%s-%016x-01", traceID, rand.Uint64()|1)
}
