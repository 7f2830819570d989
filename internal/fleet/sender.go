package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/fieldlog/fieldlog/internal/pause"
)

// sender sends what one source tells over one connection.
type sender struct {
	fleet   *Fleet
	source  source
	reports []report
	body    []byte
}

// run sends until the source has no more or ctx ends. A request that is under way then is finished.
func (s *sender) run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		var again time.Time
		s.reports, again = s.source.next(s.reports[:0], time.Now())
		s.fleet.metrics.reports.WithLabelValues(outcomeMissed).Add(float64(s.source.missed()))
		if len(s.reports) > 0 {
			if err := s.send(ctx); err != nil {
				return err
			}
		}
		if again.IsZero() {
			return nil
		}
		timer.Reset(time.Until(again))
	}
}

// send sends s.reports until the gateway has taken them, refused them, or does not answer.
func (s *sender) send(ctx context.Context) error {
	s.body = s.body[:0]
	for _, r := range s.reports {
		s.body = r.appendJSON(s.body)
	}
	for attempt := 0; ; attempt++ {
		reply, err := s.post(ctx)
		if err == nil && !reply.tryAgain() {
			return s.fleet.count(s.reports, reply)
		}
		if err != nil && !neverLeft(err) {
			s.fleet.unanswered(len(s.reports), err)
			pause.For(ctx, max(reply.retryAfter, backoff(attempt)))
			break
		}
		if err != nil && attempt == 0 {
			s.fleet.logger.Warn("cannot reach the gateway, trying again", "error", err)
		}
		s.fleet.metrics.retries.Inc()
		pause.For(ctx, max(reply.retryAfter, backoff(attempt)))
		if ctx.Err() != nil {
			s.fleet.metrics.reports.WithLabelValues(outcomeUnsent).Add(float64(len(s.reports)))
			break
		}
	}
	return nil
}

// neverLeft tells whether a request did not even find a connection, so that the log cannot have it.
func neverLeft(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

// post sends one request. It does not end with ctx, so that every report's fate is known; the client's timeout bounds it.
func (s *sender) post(ctx context.Context) (reply, error) {
	f, path := s.fleet, telemetryPath
	if f.cfg.Acknowledged != nil {
		path = positionsPath
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, f.cfg.URL+path, bytes.NewReader(s.body))
	if err != nil {
		return reply{}, fmt.Errorf("post reports: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	if f.cfg.Token != "" {
		req.Header.Set("Authorization", "Bearer "+f.cfg.Token)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return reply{}, fmt.Errorf("post reports: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	text, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return reply{}, fmt.Errorf("read the gateway's answer: %w", err)
	}
	return readReply(res.StatusCode, retryAfter(res.Header), text)
}

// retryAfter reads the header's seconds; 0 when there is none.
func retryAfter(h http.Header) time.Duration {
	seconds, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return min(time.Duration(max(seconds, 0))*time.Second, time.Minute)
}

// backoff doubles from 100 ms up to 5 s, with jitter.
func backoff(attempt int) time.Duration {
	full := min(100*time.Millisecond<<min(attempt, 10), 5*time.Second)
	return full/2 + rand.N(full/2)
}
