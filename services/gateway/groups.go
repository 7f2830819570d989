package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// maxPositions bounds the positions of an acknowledgement.
const maxPositions = 10_000

// acknowledgement is what a reader says that it is done with.
type acknowledgement struct {
	Positions []struct {
		Partition *eventlog.Partition `json:"partition"`
		// Offset is done, and everything before it in the partition.
		Offset *eventlog.Offset `json:"offset"`
	} `json:"positions"`
}

// groupAnswer is how far a group has come.
type groupAnswer struct {
	Topic      eventlog.Topic    `json:"topic"`
	Group      string            `json:"group"`
	Lag        int64             `json:"lag"`
	Partitions []partitionAnswer `json:"partitions"`
}

type partitionAnswer struct {
	Partition eventlog.Partition `json:"partition"`
	// Acknowledged is the last offset that is done; null where nothing ever was.
	Acknowledged *eventlog.Offset `json:"acknowledged"`
	// First is the oldest offset still held, End the next to be written.
	First eventlog.Offset `json:"first"`
	End   eventlog.Offset `json:"end"`
	Lag   int64           `json:"lag"`
}

// postAck answers POST /v1/topics/{topic}/groups/{group}/ack.
func (g *Gateway) postAck(rw http.ResponseWriter, r *http.Request) int {
	topic, group, wrong := placeOf(r)
	var done map[eventlog.Partition]eventlog.Offset
	back := r.URL.Query().Get("reset") == "true"
	if wrong == nil {
		done, wrong = g.positionsDone(rw, r, back)
	}
	if wrong == nil {
		if err := g.log.Acknowledge(r.Context(), group, topic, done, back); err != nil {
			wrong = logProblem(err)
		}
	}
	if topic != "" {
		g.metrics.acks.WithLabelValues(string(topic), ackOutcome(wrong)).Inc()
	}
	if wrong != nil {
		wrong.write(rw)
		return wrong.Status
	}
	rw.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent
}

func ackOutcome(wrong *problem) string {
	switch {
	case wrong == nil:
		return "ok"
	case wrong.Status == http.StatusConflict:
		return "conflict"
	case wrong.Status >= 500:
		return "failed"
	}
	return "refused"
}

// positionsDone reads an acknowledgement. Of several offsets in a partition the last counts: what lies before is done too.
func (g *Gateway) positionsDone(rw http.ResponseWriter, r *http.Request, back bool) (map[eventlog.Partition]eventlog.Offset, *problem) {
	release, wrong := g.admit(r)
	if wrong != nil {
		return nil, wrong
	}
	defer release()
	body, wrong := g.readBody(rw, r, nil)
	if wrong != nil {
		return nil, wrong
	}
	var ack acknowledgement
	if err := json.Unmarshal(body, &ack); err != nil || !jsontext.Value(body).IsValid() {
		return nil, newProblem(http.StatusBadRequest, `the body is no acknowledgement like {"positions":[{"partition":3,"offset":17}]}`)
	}
	if n := len(ack.Positions); n == 0 || n > maxPositions {
		return nil, newProblem(http.StatusBadRequest, fmt.Sprintf("positions holds %d positions, 1 to %d are taken", n, maxPositions))
	}
	done := map[eventlog.Partition]eventlog.Offset{}
	for i, p := range ack.Positions {
		switch {
		case p.Partition == nil || p.Offset == nil:
			return nil, newProblem(http.StatusBadRequest, fmt.Sprintf("positions[%d] lacks its partition or its offset", i))
		case *p.Offset < -1, *p.Offset == -1 && !back:
			return nil, newProblem(http.StatusBadRequest, fmt.Sprintf("positions[%d]: there is no offset %d", i, *p.Offset))
		}
		if had, more := done[*p.Partition]; !more || *p.Offset > had {
			done[*p.Partition] = *p.Offset
		}
	}
	return done, nil
}

// getGroup answers GET /v1/topics/{topic}/groups/{group}.
func (g *Gateway) getGroup(rw http.ResponseWriter, r *http.Request) int {
	topic, group, wrong := placeOf(r)
	if wrong == nil {
		standing, err := g.log.Standing(r.Context(), group, topic)
		if err == nil {
			writeJSON(rw, http.StatusOK, "application/json", answerOf(topic, r.PathValue("group"), standing))
			return http.StatusOK
		}
		wrong = logProblem(err)
	}
	wrong.write(rw)
	return wrong.Status
}

func answerOf(topic eventlog.Topic, group string, standing []eventlog.Standing) groupAnswer {
	answer := groupAnswer{Topic: topic, Group: group, Partitions: make([]partitionAnswer, 0, len(standing))}
	for _, s := range standing {
		p := partitionAnswer{Partition: s.Partition, First: s.Held.First, End: s.Held.Next, Lag: s.Lag}
		if s.Next != nil && *s.Next > 0 {
			last := *s.Next - 1
			p.Acknowledged = &last
		}
		answer.Lag += s.Lag
		answer.Partitions = append(answer.Partitions, p)
	}
	return answer
}

// deleteGroup answers DELETE /v1/topics/{topic}/groups/{group}.
func (g *Gateway) deleteGroup(rw http.ResponseWriter, r *http.Request) int {
	topic, group, wrong := placeOf(r)
	if wrong == nil {
		err := g.log.Forget(r.Context(), group, topic)
		if err == nil {
			rw.WriteHeader(http.StatusNoContent)
			return http.StatusNoContent
		}
		wrong = logProblem(err)
	}
	wrong.write(rw)
	return wrong.Status
}
