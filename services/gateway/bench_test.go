package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkHandler is a request from its parsed header to its answer, the log in memory in the same process included.
func BenchmarkHandler(b *testing.B) {
	f := start(b, future)
	for _, readings := range []int{1, 10, 100, 1000} {
		var body strings.Builder
		body.WriteString(`{"client":"cliente02","device":"pump-7","readings":{`)
		for i := range readings {
			if i > 0 {
				body.WriteByte(',')
			}
			fmt.Fprintf(&body, `"temperature_%d":%d.%d`, i, i, i%10)
		}
		body.WriteString("}}")
		text := body.String()
		b.Run(fmt.Sprintf("readings=%d", readings), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					recorder := httptest.NewRecorder()
					f.ServeHTTP(recorder, httptest.NewRequest("POST", "/v1/telemetry", strings.NewReader(text)))
					if recorder.Code != http.StatusOK {
						b.Fatal(recorder.Code, recorder.Body)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(readings), "ns/reading")
		})
	}
}
