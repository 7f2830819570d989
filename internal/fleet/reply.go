package fleet

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// telemetryPath asks for the position of every item.
const telemetryPath = "/v1/telemetry?positions=true"

// reply is what the gateway answered to a request.
type reply struct {
	status     int
	retryAfter time.Duration
	answer     answer
}

// answer is the body of a 200, 207 or 400.
type answer struct {
	Positions []position `json:"positions"`
	Refused   []refusal  `json:"refused"`
}

type position struct {
	Index     int    `json:"index"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

type refusal struct {
	Index  int    `json:"index"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// tryAgain tells whether the gateway took nothing and asks to send it again.
func (r reply) tryAgain() bool {
	return r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable
}

func readReply(status int, wait time.Duration, text []byte) (reply, error) {
	r := reply{status: status, retryAfter: wait}
	switch status {
	case http.StatusOK, http.StatusMultiStatus, http.StatusBadRequest:
		if err := json.Unmarshal(text, &r.answer); err != nil {
			return r, fmt.Errorf("read the gateway's answer of status %d: %w", status, err)
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
	default:
		return r, fmt.Errorf("the gateway answered %d: %.300s", status, text)
	}
	return r, nil
}

// count counts what became of the reports and tells who wants to know. A report the answer does not name is unanswered.
func (f *Fleet) count(reports []report, r reply) error {
	now := time.Now()
	var receipts []Receipt
	for _, p := range r.answer.Positions {
		if p.Index < 0 || p.Index >= len(reports) {
			f.unanswered(len(reports), fmt.Errorf("the gateway answered for item %d of %d", p.Index, len(reports)))
			return nil
		}
		sent := reports[p.Index]
		if late := now.Sub(sent.due); late < time.Minute {
			f.metrics.latency.Observe(late.Seconds())
		}
		f.metrics.readings.Add(metricsPerReport)
		if f.cfg.Acknowledged != nil {
			receipts = append(receipts, receiptOf(sent, p))
		}
	}
	f.metrics.reports.WithLabelValues(outcomeAcknowledged).Add(float64(len(r.answer.Positions)))
	f.metrics.reports.WithLabelValues(outcomeRefused).Add(float64(len(r.answer.Refused)))
	if unnamed := len(reports) - len(r.answer.Positions) - len(r.answer.Refused); unnamed > 0 {
		f.metrics.reports.WithLabelValues(outcomeUnanswered).Add(float64(unnamed))
	}
	if len(receipts) == 0 {
		return nil
	}
	return f.cfg.Acknowledged(receipts)
}

func receiptOf(sent report, p position) Receipt {
	return Receipt{
		EventID: string(sent.eventID(nil)), Client: sent.device.client, Device: sent.device.name, Readings: metricsPerReport,
		Topic: p.Topic, Partition: p.Partition, Offset: p.Offset,
	}
}
