package eventlog

import (
	"context"
	"time"
)

// lagEvery is how often the lag is measured.
const lagEvery = time.Second

// watchLag keeps the lag true until the session ends. Polling alone does not: a partition whose worker is behind is not polled
// while its end moves on, and what is stored after the last poll is told by none.
func (s *session) watchLag() {
	tick := time.NewTicker(lagEvery)
	defer tick.Stop()
	gauge := s.blocks.log.metrics.lag.WithLabelValues(string(s.blocks.opts.Topic), string(s.blocks.opts.Group))
	defer gauge.Set(0) // nothing is owned any more
	for {
		gauge.Set(float64(s.lag()))
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.findEnds()
		}
	}
}

// findEnds asks the brokers how far each partition goes. While they do not answer, the lag is what was known before.
func (s *session) findEnds() {
	ctx, cancel := context.WithTimeout(s.ctx, 5*lagEvery)
	defer cancel()
	name := s.blocks.log.fullName(s.blocks.opts.Topic)
	ends, err := s.blocks.log.admin.ListEndOffsets(ctx, name)
	if err != nil {
		return
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, w := range s.workers {
		if end, found := ends.Lookup(name, int32(w.partition)); found && end.Err == nil {
			w.highWater.Store(max(end.Offset, w.highWater.Load()))
		}
	}
}

func (s *session) lag() int64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var lag int64
	for _, w := range s.workers {
		lag += max(0, w.highWater.Load()-w.stored.Load())
	}
	return lag
}
