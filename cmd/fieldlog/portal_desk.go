package main

//	services/portal -> portalDesk -> services/deadletters -> topic deadletters

import (
	"context"
	"errors"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/deadletters"
	"github.com/fieldlog/fieldlog/services/portal"
)

// portalDesk is the desk of dead letters as the portal sees it. A desk belongs to one goroutine: each request has its own.
type portalDesk struct{ log *eventlog.Log }

// List implements portal.Letters.
func (d *portalDesk) List(ctx context.Context, state string, most int) ([]portal.Letter, error) {
	var letters []portal.Letter
	err := deadletters.New(d.log).List(ctx, &deadletters.Selection{}, letterStates[state], func(l *deadletters.Letter) bool {
		letters = append(letters, portalLetter(l))
		return len(letters) < most
	})
	return letters, err
}

// shownBytes of a letter's record are shown.
const shownBytes = 512

func portalLetter(l *deadletters.Letter) portal.Letter {
	e := l.Event
	return portal.Letter{
		ID: e.EventID, At: l.At.String(), Record: deadletters.RecordOf(e).String(), Key: strings.ToValidUTF8(string(e.Key), "\uFFFD"),
		Reason: string(e.Reason), Detail: e.Detail, TraceID: e.TraceID, Written: e.ReceivedTime.Time(), Attempt: l.Attempt,
		Size: max(e.Size, int64(len(e.Key)+len(e.Value))), Value: append([]byte(nil), e.Value[:min(len(e.Value), shownBytes)]...), State: l.State.String(),
	}
}

// Redrive implements portal.Letters.
func (d *portalDesk) Redrive(ctx context.Context, id, by, why string) (portal.Outcome, error) {
	return d.decide(ctx, id, by, why, func(desk *deadletters.Desk, s *deadletters.Selection, by deadletters.By, tell func(deadletters.Outcome) error) error {
		return desk.Redrive(ctx, s, false, by, tell)
	})
}

// Discard implements portal.Letters.
func (d *portalDesk) Discard(ctx context.Context, id, by, why string) (portal.Outcome, error) {
	return d.decide(ctx, id, by, why, func(desk *deadletters.Desk, s *deadletters.Selection, by deadletters.By, tell func(deadletters.Outcome) error) error {
		return desk.Discard(ctx, s, by, tell)
	})
}

func (d *portalDesk) decide(ctx context.Context, id, who, why string,
	do func(*deadletters.Desk, *deadletters.Selection, deadletters.By, func(deadletters.Outcome) error) error,
) (portal.Outcome, error) {
	if err := d.log.Setup(ctx); err != nil {
		return portal.Outcome{}, err
	}
	s := &deadletters.Selection{Letters: []string{id}}
	var made portal.Outcome
	err := do(deadletters.New(d.log), s, deadletters.By{Operator: who, Host: hostname(), Why: why}, func(o deadletters.Outcome) error {
		made = portal.Outcome{Done: done(o.Verdict), Detail: strings.TrimSpace(string(o.Verdict) + ": " + o.Detail)}
		return nil
	})
	switch {
	case errors.Is(err, eventlog.ErrFenced), errors.Is(err, eventlog.ErrUnconfirmed):
		return portal.Outcome{}, undecided(err)
	case err == nil && made.Detail == "":
		made.Detail = "it is not open any more, or not there"
	}
	return made, err
}
