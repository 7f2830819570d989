package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

const (
	// openTime bounds the wait for the brokers to say where reading begins.
	openTime = 10 * time.Second
	// streamBytes is what is collected before it is sent, unless nothing more has arrived.
	streamBytes = 32 << 10
)

// getEvents answers GET /v1/topics/{topic}/events.
func (g *Gateway) getEvents(rw http.ResponseWriter, r *http.Request) int {
	q, wrong := questionOf(r, time.Now())
	if wrong == nil && !g.readers.TryAcquire(1) {
		wrong = later(http.StatusTooManyRequests, "too many readers at once; try again later, or raise --max-readers")
	}
	if wrong != nil {
		wrong.write(rw)
		return wrong.Status
	}
	defer g.readers.Release(1)
	g.metrics.readers.Inc()
	defer g.metrics.readers.Dec()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(g.reading, cancel)() // the gateway stops: readers come again
	s := &stream{gateway: g, question: q, out: rw, control: http.NewResponseController(rw)}
	if wrong := s.open(ctx); wrong != nil {
		wrong.write(rw)
		return wrong.Status
	}
	defer s.reading.Close()
	return s.run(ctx)
}

// stream is a reader's answer under way. Nothing of it is kept for a reader that is slow: the brokers wait too.
type stream struct {
	gateway  *Gateway
	question *question
	reading  *eventlog.Reading
	out      http.ResponseWriter
	control  *http.ResponseController
	at       bookmark
	buffer   []byte
	waiting  int  // records in the buffer
	told     int  // records written
	begun    bool // the header is out
}

// open finds where the reader begins: where its last connection ended, else where its group is, else where it asked for.
func (s *stream) open(ctx context.Context) *problem {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	q, log := s.question, s.gateway.log
	options := q.options
	var err error
	if q.group != "" {
		if options.Starts, err = log.Resume(ctx, q.group, options.Topic); err != nil {
			return logProblem(err)
		}
	}
	if q.sse {
		ids, err := log.TopicIDs(ctx, options.Topic)
		if err != nil {
			return logProblem(err)
		}
		s.at.topic = ids[options.Topic]
	}
	switch {
	case q.last.next == nil:
	case q.last.topic == s.at.topic:
		options.Starts = q.last.next
	default: // the topic was created anew: all of it is new to this reader
		options.From, options.Starts = eventlog.FromStart(), nil
	}
	options.Follow = options.Follow || q.wait > 0
	if s.reading, err = log.Open(ctx, options); err != nil {
		return logProblem(err)
	}
	s.at.next = s.reading.Begin()
	return nil
}

// run sends records until the question is answered, the client goes or the gateway stops, and returns the status.
func (s *stream) run(ctx context.Context) int {
	defer func() { _ = s.control.SetWriteDeadline(time.Time{}) }() // the connection serves the next request
	if s.question.options.Follow {
		s.begin()
		s.mark()
		s.emit() // the header at once: the first record may take a while
	}
	for {
		turn, cancel := s.turn(ctx)
		ended, err := s.copy(turn)
		cancel()
		switch {
		case err != nil && !s.begun:
			p := logProblem(err)
			p.write(s.out)
			return p.Status
		case err != nil:
			s.complain(err)
			return http.StatusOK
		case ended, !s.question.options.Follow, ctx.Err() != nil:
			s.begin()
			s.emit()
			return http.StatusOK
		}
		if s.beat(); !s.emit() {
			return http.StatusOK
		}
	}
}

// turn bounds a stretch of reading: by the time to the next sign of life, or by the wait for a first record.
func (s *stream) turn(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case s.question.options.Follow:
		return context.WithTimeout(ctx, s.gateway.cfg.Heartbeat)
	case s.question.wait > 0:
		return context.WithTimeout(ctx, s.question.wait)
	}
	return ctx, func() {}
}

// copy sends records until ctx ends or the question is answered, which it tells.
func (s *stream) copy(ctx context.Context) (ended bool, err error) {
	for record, err := range s.reading.Records(ctx) {
		if err != nil {
			return true, err
		}
		s.at.next[record.Partition] = record.Offset + 1
		if s.question.keys.Match(record.Key) {
			if err := s.append(ctx, record); err != nil {
				return true, err
			}
		}
		limited := s.question.limit > 0 && s.told == s.question.limit
		pause := s.reading.Waiting() == 0
		if (limited || pause || len(s.buffer) >= streamBytes) && !s.emit() {
			return true, nil
		}
		if limited || pause && s.question.wait > 0 && s.told > 0 {
			return true, nil
		}
	}
	return false, nil
}

// append puts a record into the buffer.
func (s *stream) append(ctx context.Context, record *eventlog.Record) error {
	line, err := s.gateway.log.Line(context.WithoutCancel(ctx), record, true)
	if err != nil {
		return err
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	s.begin()
	if s.question.sse {
		s.buffer = append(append(append(s.buffer, "id: "...), s.at.String()...), "\ndata: "...)
	}
	s.buffer = append(append(s.buffer, text...), '\n')
	if s.question.sse {
		s.buffer = append(s.buffer, '\n')
	}
	s.told++
	s.waiting++
	return nil
}

// begin prepares the header, which goes out with what comes first.
func (s *stream) begin() {
	if s.begun {
		return
	}
	s.begun = true
	contentType := "application/x-ndjson"
	if s.question.sse {
		contentType = "text/event-stream"
	}
	header := s.out.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // proxies pass it on as it comes
	s.out.WriteHeader(http.StatusOK)
}

// emit sends what was collected. It returns false when the client is gone, or took nothing for too long.
func (s *stream) emit() bool {
	if err := s.control.SetWriteDeadline(time.Now().Add(s.gateway.cfg.Stall)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	if _, err := s.out.Write(s.buffer); err != nil {
		return false
	}
	if err := s.control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	s.gateway.metrics.read.WithLabelValues(string(s.question.options.Topic)).Add(float64(s.waiting))
	s.buffer, s.waiting = s.buffer[:0], 0
	return true
}

// mark tells where the stream begins, so that a client which loses it before the first record goes on there. It is no event.
func (s *stream) mark() {
	if s.question.sse {
		s.buffer = append(append(append(s.buffer, "id: "...), s.at.String()...), "\n\n"...)
	}
}

// beat is a sign of life that every client skips: so the gateway notices a client that is gone, and the client a gateway.
func (s *stream) beat() {
	if s.question.sse {
		s.buffer = append(s.buffer, ':')
	}
	s.buffer = append(s.buffer, '\n')
	if s.question.sse {
		s.buffer = append(s.buffer, '\n')
	}
}

// complain ends a stream that has begun with the problem as its last line; the client acknowledged nothing of what is missing.
func (s *stream) complain(err error) {
	text, _ := json.Marshal(map[string]*problem{"problem": logProblem(err)}) // it holds texts and numbers only
	if s.question.sse {
		s.buffer = append(append(append(s.buffer, "event: problem\ndata: "...), text...), "\n\n"...)
	} else {
		s.buffer = append(append(s.buffer, text...), '\n')
	}
	s.emit()
}
