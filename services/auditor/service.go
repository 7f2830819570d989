package auditor

import (
	"context"
	"time"
)

// longest bounds the window of one audit of Run. What is behind is worked off one such window at a time.
const longest = time.Hour

// Run audits again and again until ctx ends, and returns nil. Each audit begins where the last left off: at the oldest record that
// was not stored yet, or else at its end, a little earlier for receipts that came late. What it finds is logged and counted. An
// audit that fails is tried again with the next.
func (a *Auditor) Run(ctx context.Context) error {
	tick := time.NewTicker(a.cfg.Every)
	defer tick.Stop()
	from := time.Now().Add(-a.cfg.From)
	for {
		next, behind := a.next(ctx, from)
		from = next
		if behind && ctx.Err() == nil {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// next audits from a time on, and returns where the next audit begins and whether there is more to audit already.
func (a *Auditor) next(ctx context.Context, from time.Time) (time.Time, bool) {
	w := Window{From: from}
	if long := from.Add(longest); long.Before(time.Now()) {
		w.To = long
	}
	result, err := a.Audit(ctx, w)
	if err != nil {
		if ctx.Err() == nil {
			a.logger.Warn("cannot audit now, will try again", "error", err)
		}
		return from, false
	}
	a.tell(result)
	switch {
	case !result.Pending.IsZero():
		return result.Pending.Add(-a.cfg.Overlap), false
	case !w.To.IsZero():
		return w.To.Add(-a.cfg.Overlap), true
	}
	return result.Began.Add(-a.cfg.Overlap), false
}

// tell logs what an audit found.
func (a *Auditor) tell(r *Result) {
	for _, d := range r.Differences {
		a.logger.Error("the accounts differ", "kind", d.Kind, "what", d.String(), "topic_id", d.TopicID, "generation", r.Generation)
	}
	if r.More > 0 {
		a.logger.Error("the accounts differ in more ranges", "count", r.More)
	}
	for _, note := range r.Notes {
		a.logger.Info("not compared", "what", note)
	}
	a.logger.Debug("audited", "from", r.Window.From, "to", r.Window.To, "records", r.total(func(row *Row) int64 { return row.Log }))
}
