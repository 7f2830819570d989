package main

//	Desk.Redrive, Desk.Discard -> what happened to each letter; exit code 1 if any was left

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/deadletters"
)

type decideFlags struct {
	selection selectionFlags
	all       bool
	earlier   bool
	by        deadletters.By
	asJSON    bool
}

func (f *decideFlags) bind(cmd *cobra.Command) {
	f.selection.bind(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&f.all, "all", false, "all open letters; needed where nothing else chooses")
	flags.BoolVar(&f.by.DryRun, "dry-run", false, "print what would happen, and do nothing")
	flags.StringVar(&f.by.Operator, "operator", "", "who decides, for the event that tells of it (default the user of this process)")
	flags.StringVar(&f.by.Why, "why", "", "why, for the same event")
	jsonFlag(flags, &f.asJSON)
}

func (p *program) redriveCommand(log *logFlags) *cobra.Command {
	var f decideFlags
	cmd := &cobra.Command{
		Use:   "redrive [LETTER...]",
		Short: "Append the records of dead letters to their topics again",
		Long: `Appends the records of the chosen open letters to their topics again, as they were, with a header that tells where they came
from (fieldlog-redriven). A letter is redriven once: the record and the event that closes the letter are appended in one
transaction. Run it again after a failure; what was done is not done again.

Letters of one key are redriven in their order. A letter waits for an earlier one that is open and not chosen, unless
--with-earlier chooses that one too. The exit code is 1 if a chosen letter was left.`,
		Example: `  fieldlog deadletters redrive 3@17
  fieldlog deadletters redrive --reason unknown_schema --client cliente02 --why 'its schema is registered now'
  fieldlog deadletters redrive --all --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.decide(cmd.Context(), log, args, &f, func(desk *deadletters.Desk, s *deadletters.Selection, tell func(deadletters.Outcome) error) error {
				return desk.Redrive(cmd.Context(), s, f.earlier, f.by, tell)
			})
		},
	}
	f.bind(cmd)
	cmd.Flags().BoolVar(&f.earlier, "with-earlier", false, "redrive the earlier open letters of the same keys too")
	return cmd
}

func (p *program) discardCommand(log *logFlags) *cobra.Command {
	var f decideFlags
	cmd := &cobra.Command{
		Use:   "discard [LETTER...]",
		Short: "Give dead letters up for good",
		Long: `Closes the chosen open letters without redriving them. An event on the topic deadletters says who did it and why ("fieldlog tail
deadletters" shows it). The letter's bytes stay where they are for as long as the topic keeps them.`,
		Example: `  fieldlog deadletters discard 3@17 --why 'a test of the firewall'
  fieldlog deadletters discard --reason not_ours --until 2026-11-01 --why 'the scanner of October'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(f.by.Why) == "" {
				return usagef("say --why the letters are discarded")
			}
			return p.decide(cmd.Context(), log, args, &f, func(desk *deadletters.Desk, s *deadletters.Selection, tell func(deadletters.Outcome) error) error {
				return desk.Discard(cmd.Context(), s, f.by, tell)
			})
		},
	}
	f.bind(cmd)
	return cmd
}

// decide runs a decision and prints its outcomes.
func (p *program) decide(ctx context.Context, log *logFlags, letters []string, f *decideFlags,
	do func(*deadletters.Desk, *deadletters.Selection, func(deadletters.Outcome) error) error,
) error {
	s, err := f.selection.selection(log.cfg.Prefix, letters, time.Now())
	if err != nil {
		return err
	}
	if s.Empty() && !f.all {
		return usagef("no letter is chosen: name some, filter them, or say --all")
	}
	f.by.Operator, f.by.Host = cmp.Or(f.by.Operator, osUser()), hostname()
	return p.atDesk(ctx, log, !f.by.DryRun, func(_ *eventlog.Log, desk *deadletters.Desk) error {
		told := &telling{p: p, dry: f.by.DryRun, asJSON: p.columns == 0 || f.asJSON, counts: map[deadletters.Verdict]int{}}
		if err := do(desk, s, told.tell); err != nil {
			return undecided(err)
		}
		if err := missing(s); err != nil {
			return err
		}
		return told.end()
	})
}

// undecided tells an operator what the end of a run means.
func undecided(err error) error {
	switch {
	case errors.Is(err, eventlog.ErrUnconfirmed):
		return fmt.Errorf("nobody can tell whether the letters after the last one printed were decided; run it again, nothing is done twice: %w", err)
	case errors.Is(err, eventlog.ErrFenced):
		return fmt.Errorf("another operator decides about dead letters now; what was printed is done, nothing else: %w", err)
	}
	return err
}

func osUser() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

func hostname() string {
	name, _ := os.Hostname() // empty when unknown
	return name
}

// telling prints outcomes.
type telling struct {
	p           *program
	dry, asJSON bool
	counts      map[deadletters.Verdict]int
}

// outcomeLine is an outcome in JSON.
type outcomeLine struct {
	Letter  string              `json:"letter"`
	ID      string              `json:"id"`
	Key     string              `json:"key"`
	Reason  string              `json:"reason"`
	Verdict deadletters.Verdict `json:"verdict"`
	DryRun  bool                `json:"dry_run,omitempty"`
	Detail  string              `json:"detail"`
}

func (t *telling) tell(o deadletters.Outcome) error {
	t.counts[o.Verdict]++
	e := o.Event
	if t.asJSON {
		return json.NewEncoder(t.p.stdout).Encode(outcomeLine{o.At.String(), e.EventID, string(e.Key), string(e.Reason), o.Verdict, t.dry, o.Detail})
	}
	mark := "✗"
	if done(o.Verdict) {
		mark = "✓"
	}
	_, err := fmt.Fprintf(t.p.stdout, "%s %s %s %s: %s %s\n", mark, o.At, e.Reason, printable(string(e.Key)), o.Verdict, printable(o.Detail))
	return err
}

func done(v deadletters.Verdict) bool {
	return v == deadletters.Redriven || v == deadletters.Discarded
}

// end prints the counts on a terminal. It is a failure if a letter was left.
func (t *telling) end() error {
	words := make([]string, 0, len(t.counts))
	var left error
	for v, n := range t.counts {
		words = append(words, fmt.Sprintf("%d %s", n, v))
		if !done(v) {
			left = errSilent
		}
	}
	if t.asJSON {
		return left
	}
	slices.Sort(words)
	ending := cmp.Or(strings.Join(words, ", "), "no open letter is chosen")
	if t.dry {
		ending += "; nothing was done, this is a dry run"
	}
	if _, err := fmt.Fprintln(t.p.stdout, ending); err != nil {
		return err
	}
	return left
}
