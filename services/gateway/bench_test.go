package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fieldlog/fieldlog/services/gateway"
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
					f.ServeHTTP(recorder, asked("POST", "/v1/telemetry", text))
					if recorder.Code != http.StatusOK {
						b.Fatal(recorder.Code, recorder.Body)
					}
				}
			})
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(readings), "ns/reading")
		})
	}
}

// BenchmarkIDs is a request of one report of ten readings on a gateway that runs: "none" without an id of its own, "new" with
// one that nobody had before, "retry" with one that the log has. The last two hold what the index costs.
func BenchmarkIDs(b *testing.B) {
	const head, tail = `{"client":"c","device":"pump-7",`, `"readings":{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9,"j":10}}`
	d := newSite(b).open(b, gateway.Config{})
	d.report(b, named("pump-7", "first"))
	var n atomic.Int64
	f := func(name string, body func() string, more ...string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if status, text, _ := d.do(b, "POST", "/v1/telemetry", body(), more...); status != http.StatusOK {
						b.Fatal(status, text)
					}
				}
			})
		})
	}
	f("none", func() string { return head + tail })
	f("new", func() string { return fmt.Sprintf(`%s"event_id":"e%d",%s`, head, n.Add(1), tail) })
	f("retry", func() string { return head + `"event_id":"first",` + tail })
}
