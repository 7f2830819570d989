package gateway

import (
	"fmt"
	"net/http"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/gateway/lineprotocol"
)

// postWrite answers POST /api/v2/write and /write as InfluxDB does: 204 when every line is in the log, 400 with the first
// refused line when some are not (the others are written: a partial write), errors in InfluxDB's JSON.
func (g *Gateway) postWrite(rw http.ResponseWriter, r *http.Request) int {
	query := r.URL.Query()
	unit, known := lineprotocol.ParsePrecision(query.Get("precision"))
	if !known {
		return influxError(rw, newProblem(http.StatusBadRequest, fmt.Sprintf("precision %q is not known; use ns, us, ms, s, m or h", query.Get("precision"))))
	}
	w := g.begin(r)
	defer g.end(w)
	rw.Header().Set("traceparent", w.trace.parent)
	release, wrong := g.admit(r)
	if wrong != nil {
		return influxError(rw, wrong)
	}
	defer release()
	if w.key, wrong = idempotencyKey(r); wrong != nil {
		return influxError(rw, wrong)
	}
	if w.body, wrong = g.readBody(rw, r, w.body); wrong != nil {
		return influxError(rw, wrong)
	}
	g.metrics.bytes.WithLabelValues(originInflux).Add(float64(len(w.body)))
	bucket := query.Get("bucket")
	if bucket == "" {
		bucket = query.Get("db")
	}
	w.lines.Scan(w.body, lineprotocol.Options{
		ClientTags: g.cfg.ClientTags, DeviceTags: g.cfg.DeviceTags, Client: bucket,
		Unit: unit, Now: schemas.TimeOf(w.now), Limits: g.limits(w.now),
	})
	for i := range w.lines.Reports {
		if len(w.lines.Reports[i].Readings) > 0 { // a group whose every line was refused has none
			g.add(w, i, &w.lines.Reports[i], originInflux, false)
		}
	}
	g.metrics.refused.WithLabelValues(originInflux, "invalid").Add(float64(w.lines.Refused))
	_, accepted, _ := g.commit(r.Context(), w, originInflux)
	return g.influxAnswer(rw, w, accepted+len(w.repeats))
}

func (g *Gateway) influxAnswer(rw http.ResponseWriter, w *work, accepted int) int {
	switch {
	case w.unsure || w.overload:
		return influxError(rw, w.failed(""))
	case len(w.lines.Errors) > 0:
		what := "partial write"
		if accepted == 0 {
			what = "nothing was written"
		}
		return influxError(rw, newProblem(http.StatusBadRequest, fmt.Sprintf("%s, %d lines refused: %v", what, w.lines.Refused, w.lines.Errors[0])))
	case w.refused > 0:
		return influxError(rw, newProblem(http.StatusRequestEntityTooLarge, "partial write: "+w.errors[0].Reason))
	}
	rw.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent
}

// influxCodes are InfluxDB's words for statuses.
var influxCodes = map[int]string{
	http.StatusBadRequest:            "invalid",
	http.StatusUnauthorized:          "unauthorized",
	http.StatusRequestTimeout:        "invalid",
	http.StatusRequestEntityTooLarge: "request too large",
	http.StatusUnsupportedMediaType:  "invalid",
	http.StatusTooManyRequests:       "too many requests",
	http.StatusServiceUnavailable:    "unavailable",
}

func influxError(rw http.ResponseWriter, p *problem) int {
	if p.retryAfter > 0 {
		rw.Header().Set("Retry-After", fmt.Sprint(p.retryAfter))
	}
	rw.Header().Set("X-Influxdb-Error", p.Detail)
	writeJSON(rw, p.Status, "application/json", map[string]string{"code": influxCodes[p.Status], "message": p.Detail, "error": p.Detail})
	return p.Status
}
