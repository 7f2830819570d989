package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// The path of reports, without and with a question for where each one is.
const (
	telemetryPath = "/v1/telemetry"
	positionsPath = telemetryPath + "?positions=true"
)

// reply is what the gateway answered to a request.
type reply struct {
	status     int
	retryAfter time.Duration
	answer     answer
}

// answer is the body of a 200, 207 or 400.
type answer struct {
	Accepted int        `json:"accepted"`
	Refused  int        `json:"refused"`
	Errors   []refusal  `json:"errors"`
	Items    []position `json:"items"`
}

type refusal struct {
	Index  int    `json:"index"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

type position struct {
	Index     int    `json:"index"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// tryAgain tells whether the gateway took nothing for now and will not have taken it later either.
func (r reply) tryAgain() bool { return r.status == http.StatusTooManyRequests }

// readReply reads an answer that says what became of each report; any other is an error.
func readReply(status int, wait time.Duration, text []byte) (reply, error) {
	r := reply{status: status, retryAfter: wait}
	switch status {
	case http.StatusOK, http.StatusMultiStatus, http.StatusBadRequest:
		if err := json.Unmarshal(text, &r.answer); err != nil {
			return r, fmt.Errorf("read the gateway's answer of status %d: %w", status, err)
		}
	case http.StatusTooManyRequests:
	default:
		return r, fmt.Errorf("the gateway answered %d: %.300s", status, text)
	}
	return r, nil
}

// count counts what became of the reports and tells who wants to know. A report the answer does not count is unanswered.
func (f *Fleet) count(reports []report, r reply) error {
	receipts, err := receiptsOf(reports, r.answer.Items)
	if err != nil {
		f.unanswered(len(reports), err)
		return nil
	}
	f.metrics.reports.WithLabelValues(outcomeAcknowledged).Add(float64(r.answer.Accepted))
	f.metrics.readings.Add(float64(r.answer.Accepted * metricsPerReport))
	f.metrics.reports.WithLabelValues(outcomeRefused).Add(float64(r.answer.Refused))
	f.metrics.reports.WithLabelValues(outcomeUnanswered).Add(float64(max(0, len(reports)-r.answer.Accepted-r.answer.Refused)))
	f.observe(reports, r.answer.Errors)
	if len(receipts) == 0 || f.cfg.Acknowledged == nil {
		return nil
	}
	return f.cfg.Acknowledged(receipts)
}

// observe measures how long the acknowledged reports took. History is due long ago and left out.
func (f *Fleet) observe(reports []report, errors []refusal) {
	now, refused := time.Now(), map[int]bool{}
	for _, e := range errors {
		refused[e.Index] = true
	}
	for i, sent := range reports {
		if late := now.Sub(sent.due); !refused[i] && late < f.cfg.Behind+f.cfg.Timeout {
			f.metrics.latency.Observe(late.Seconds())
		}
	}
}

func receiptsOf(reports []report, items []position) ([]Receipt, error) {
	receipts := make([]Receipt, 0, len(items))
	for _, p := range items {
		if p.Index < 0 || p.Index >= len(reports) {
			return nil, fmt.Errorf("the gateway answered for item %d of %d", p.Index, len(reports))
		}
		sent := reports[p.Index]
		receipts = append(receipts, Receipt{
			EventID: string(sent.eventID(nil)), Client: sent.device.client, Device: sent.device.name,
			Readings: metricsPerReport, Topic: p.Topic, Partition: p.Partition, Offset: p.Offset,
		})
	}
	return receipts, nil
}
