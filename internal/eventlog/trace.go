package eventlog

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// traceparent returns a W3C traceparent that continues a trace, with a span of its own; empty when the id is not one of W3C's.
func traceparent(traceID string) string {
	if raw, err := hex.DecodeString(traceID); err != nil || len(raw) != 16 {
		return ""
	}
	return fmt.Sprintf("00-%s-%016x-01", traceID, rand.Uint64()|1)
}
