package deadletters

import (
	"context"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
)

// Discard gives the chosen open letters up for good: an event says who did it and why. Their bytes stay in the log for as
// long as the topic keeps them. Tell and the error are as for Redrive.
func (d *Desk) Discard(ctx context.Context, s *Selection, by By, tell func(Outcome) error) error {
	plan := func(f *folded) []deadletters.Step {
		open := f.in([]deadletters.State{deadletters.Open})
		steps := make([]deadletters.Step, len(open))
		for i, l := range open {
			steps[i] = deadletters.Step{Letter: l, WaitsFor: -1}
		}
		return steps
	}
	return (&decision{desk: d, by: by, tell: tell, plan: plan, act: discard{by}}).run(ctx, s)
}

// discard is the action of Discard.
type discard struct{ by By }

func (a discard) prepare(_ context.Context, l *Letter) (func(*eventlog.Tx) error, Outcome, error) {
	event := &schemas.DeadLetterDiscarded{
		Envelope: a.by.head("discarded", l, l.Attempt), LetterDecision: a.by.decision(l), Reason: l.Event.Reason,
	}
	add := func(tx *eventlog.Tx) error { return tx.AppendTo(l.At.Partition, event) }
	return add, Outcome{l, Discarded, a.by.Why}, nil
}
