package deadletters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
)

// Verdict tells what a run did with a letter.
type Verdict string

// The verdicts.
const (
	Redriven  Verdict = "redriven"
	Discarded Verdict = "discarded"
	// Waits: an earlier letter of its key is open.
	Waits Verdict = "waits"
	// Refused: it cannot be redriven.
	Refused Verdict = "refused"
	// Closed: it was redriven or discarded before.
	Closed Verdict = "closed"
)

// Outcome is what a run did with one letter.
type Outcome struct {
	*Letter
	Verdict Verdict
	// Detail says why, or where to.
	Detail string
}

// By tells who decides, in the event that tells of it.
type By struct {
	// Operator is the person, Host the machine, Why the reason in their words.
	Operator, Host, Why string
	// DryRun tells what would be done, and does nothing. Nobody else is stopped by it.
	DryRun bool
}

// The bounds of a transaction.
const (
	maxLetters = 500
	maxBytes   = 8 << 20
)

// decision is a run of Redrive or Discard under way.
type decision struct {
	desk  *Desk
	by    By
	tell  func(Outcome) error
	plan  func(*folded) []deadletters.Step
	act   action
	fence *eventlog.Transactor // nil in a dry run
}

// action is what is done with one letter.
type action interface {
	// prepare returns what to append; a *refusal leaves the letter as it is.
	prepare(ctx context.Context, l *Letter) (append func(*eventlog.Tx) error, done Outcome, err error)
}

// refusal says why a letter is left as it is.
type refusal struct{ why string }

func (r *refusal) Error() string { return r.why }

func refuse(format string, args ...any) error { return &refusal{fmt.Sprintf(format, args...)} }

// run decides about the chosen letters of every partition. Letters that were named and are not there are
// told by Selection.Missing afterwards.
func (d *decision) run(ctx context.Context, s *Selection) (err error) {
	if !d.by.DryRun {
		if d.fence, err = d.desk.log.Transactor(ctx, service); err != nil {
			return err
		}
		defer d.fence.Close()
	}
	partitions, err := d.desk.partitions(ctx)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		f, err := d.desk.read(ctx, p, s)
		if err != nil {
			return err
		}
		if err := d.partition(ctx, f, len(s.Letters) > 0); err != nil {
			return err
		}
	}
	return nil
}

// partition carries out the plan for one partition, part by part. Closed letters are told of if they were named.
func (d *decision) partition(ctx context.Context, f *folded, named bool) error {
	if named {
		if err := d.tellClosed(ctx, f); err != nil {
			return err
		}
	}
	held := map[deadletters.Lane]int64{} // what must wait for a letter that was refused
	for steps := d.plan(f); len(steps) > 0; {
		n, size := 1, int(steps[0].Size)
		for n < min(len(steps), maxLetters) && size+int(steps[n].Size) <= maxBytes {
			size += int(steps[n].Size)
			n++
		}
		letters, err := d.desk.load(ctx, f.partition, steps[:n])
		if err != nil {
			return err
		}
		if err := d.part(ctx, steps[:n], letters, held); err != nil {
			return err
		}
		steps = steps[n:]
	}
	return nil
}

func (d *decision) tellClosed(ctx context.Context, f *folded) error {
	closed := f.in([]deadletters.State{deadletters.Redriven, deadletters.Discarded})
	return d.desk.at(ctx, f.partition, closed, func(l *Letter) error {
		return d.tell(Outcome{l, Closed, "it is " + l.State.String() + " already"})
	})
}

// load reads the letters of some steps.
func (d *Desk) load(ctx context.Context, p eventlog.Partition, steps []deadletters.Step) (map[int64]*Letter, error) {
	sorted := make([]deadletters.Letter, len(steps))
	for i, s := range steps {
		sorted[i] = s.Letter
	}
	slices.SortFunc(sorted, func(a, b deadletters.Letter) int { return cmp.Compare(a.Offset, b.Offset) })
	letters := make(map[int64]*Letter, len(steps))
	err := d.at(ctx, p, sorted, func(l *Letter) error {
		letters[l.Offset] = l
		return nil
	})
	return letters, err
}

// task is what is to be done with a letter: nothing but to tell of it, if it appends nothing.
type task struct {
	append func(*eventlog.Tx) error
	tell   Outcome
}

// part decides about some letters, in their order.
func (d *decision) part(ctx context.Context, steps []deadletters.Step, letters map[int64]*Letter, held map[deadletters.Lane]int64) error {
	tasks := make([]task, len(steps))
	for i, step := range steps {
		var err error
		if tasks[i], err = d.task(ctx, step, letters[step.Offset], held); err != nil {
			return err
		}
	}
	return d.commit(ctx, tasks, held)
}

func (d *decision) task(ctx context.Context, step deadletters.Step, l *Letter, held map[deadletters.Lane]int64) (task, error) {
	if !step.Go() {
		return waits(l, step.WaitsFor), nil
	}
	if blocker, blocked := held[step.Lane]; blocked {
		return waits(l, blocker), nil
	}
	add, done, err := d.act.prepare(ctx, l)
	var r *refusal
	if errors.As(err, &r) {
		return refused(l, r, held), nil
	}
	return task{add, done}, err
}

func waits(l *Letter, blocker int64) task {
	at := l.At
	at.Offset = eventlog.Offset(blocker)
	return task{tell: Outcome{l, Waits, "for " + at.String()}}
}

// refused leaves a letter as it is, and lets the later ones of its key wait for it.
func refused(l *Letter, r *refusal, held map[deadletters.Lane]int64) task {
	if l.Lane != (deadletters.Lane{}) {
		held[l.Lane] = l.Offset
	}
	return task{tell: Outcome{l, Refused, r.why}}
}

// commit does the tasks in one transaction, then tells of them. If one is too large for the brokers, each is done in
// one of its own.
func (d *decision) commit(ctx context.Context, tasks []task, held map[deadletters.Lane]int64) error {
	err := d.transact(ctx, tasks)
	if errors.Is(err, eventlog.ErrTooLarge) && !errors.Is(err, eventlog.ErrFenced) {
		return d.commitEach(ctx, tasks, held)
	}
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if err := d.tell(t.tell); err != nil {
			return err
		}
	}
	return nil
}

func (d *decision) commitEach(ctx context.Context, tasks []task, held map[deadletters.Lane]int64) error {
	for _, t := range tasks {
		l := t.tell.Letter
		if blocker, blocked := held[l.Lane]; blocked && t.append != nil {
			t = waits(l, blocker)
		}
		err := d.transact(ctx, []task{t})
		if errors.Is(err, eventlog.ErrTooLarge) && !errors.Is(err, eventlog.ErrFenced) {
			t, err = refused(l, &refusal{err.Error()}, held), nil
		}
		if err != nil {
			return err
		}
		if err := d.tell(t.tell); err != nil {
			return err
		}
	}
	return nil
}

func (d *decision) transact(ctx context.Context, tasks []task) error {
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t task) bool { return t.append == nil })
	if d.by.DryRun || len(tasks) == 0 {
		return nil
	}
	return d.fence.Run(ctx, func(tx *eventlog.Tx) error {
		for _, t := range tasks {
			if err := t.append(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// head returns the envelope of the event that tells of a decision.
func (b *By) head(fact string, l *Letter, attempt int32) schemas.Envelope {
	now := schemas.TimeOf(time.Now())
	return schemas.Envelope{
		EventID: fact + "-" + l.Event.EventID, EventTime: now, ReceivedTime: now, TraceID: l.Event.TraceID,
		Attempt: attempt, Origin: service, Host: b.Host, Publisher: "fieldlog",
	}
}

func (b *By) decision(l *Letter) schemas.LetterDecision {
	return schemas.LetterDecision{
		Letter: l.Event.EventID, LetterPartition: int32(l.At.Partition), LetterOffset: int64(l.At.Offset),
		Key: l.Event.Key, Operator: b.Operator, Why: b.Why,
	}
}
