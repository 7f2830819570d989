package main

//	topic deadletters -> services/deadletters (fold, choose, decide in a transaction) -> list, show, redrive, discard

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/deadletters"
)

func (p *program) deadLettersCommand() *cobra.Command {
	var flags logFlags
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "List, show, redrive and discard what could not be handled",
		Long: `A record that cannot be handled becomes a dead letter: its bytes, its position and the reason, on the topic deadletters.
A letter is open until its record is redriven (appended to its topic again) or it is discarded. Either is an event on the
same topic, and happens once, whoever tries at the same time and however often.

Reasons: ` + strings.Join(reasonNames(), ", ") + `. What each means and what to do is in docs/operations.md.

A letter is named by its event id, its position (deadletters/3@17, or 3@17), or the position of its record (telemetry/3@42).`,
		Example: `  fieldlog deadletters list --reason unknown_schema --since -1h
  fieldlog deadletters show 3@17
  fieldlog deadletters redrive --reason unknown_schema --dry-run
  fieldlog deadletters discard --client cliente02 --why 'load test of 2026-11-24'`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usagef("say what to do: deadletters list, show, redrive or discard")
		},
	}
	flags.bind(cmd.PersistentFlags(), defaultBrokers, defaultRegistry)
	cmd.AddCommand(p.listLettersCommand(&flags), p.showLetterCommand(&flags), p.redriveCommand(&flags), p.discardCommand(&flags))
	return cmd
}

func reasonNames() []string {
	names := make([]string, 0, len(schemas.Reasons()))
	for _, reason := range schemas.Reasons() {
		names = append(names, string(reason))
	}
	return names
}

// selectionFlags choose letters.
type selectionFlags struct {
	reasons        []string
	client, device string
	since, until   string
}

func (f *selectionFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.reasons, "reason", nil, "only letters with this reason; may be given again")
	flags.StringVar(&f.client, "client", "", "only records of this client, by their key")
	flags.StringVar(&f.device, "device", "", "only records of this device, by their key")
	flags.StringVar(&f.since, "since", "", "only letters written at this time or later: a time (RFC 3339), a date, or how long ago (-15m)")
	flags.StringVar(&f.until, "until", "", "only letters written before this time")
	_ = cmd.RegisterFlagCompletionFunc("reason", cobra.FixedCompletions(reasonNames(), cobra.ShellCompDirectiveNoFileComp)) // the flag is there
}

// selection checks the flags and returns what they choose, of the letters that are named or of all.
func (f *selectionFlags) selection(prefix string, letters []string, now time.Time) (*deadletters.Selection, error) {
	s := &deadletters.Selection{Client: f.client, Device: f.device}
	for _, name := range letters {
		s.Letters = append(s.Letters, letterName(prefix, name))
	}
	for _, name := range f.reasons {
		reason := schemas.Reason(name)
		if !slices.Contains(schemas.Reasons(), reason) {
			return nil, usagef("--reason %q is none of %s", name, strings.Join(reasonNames(), ", "))
		}
		s.Reasons = append(s.Reasons, reason)
	}
	for _, bound := range []struct {
		flag, text string
		to         *time.Time
	}{{"--since", f.since, &s.Since}, {"--until", f.until, &s.Until}} {
		t, ok := eventlog.ParseTime(bound.text, now)
		if !ok && bound.text != "" {
			return nil, usagef("%s %q is not a time like 2026-11-24T04:00:00Z, a date, or a duration ago like -15m", bound.flag, bound.text)
		}
		*bound.to = t
	}
	return s, nil
}

// shortPosition is a position without the topic.
var shortPosition = regexp.MustCompile(`^\d+@\d+$`)

// letterName completes what a letter is called on the command line.
func letterName(prefix, name string) string {
	if shortPosition.MatchString(name) {
		return string(eventlog.TopicDeadLetters) + "/" + name
	}
	return strings.TrimPrefix(name, prefix)
}

// atDesk opens the log and calls do with a desk.
func (p *program) atDesk(ctx context.Context, flags *logFlags, setup bool, do func(*eventlog.Log, *deadletters.Desk) error) error {
	logger, err := p.logger()
	if err != nil {
		return err
	}
	log, err := flags.open(ctx, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	if setup {
		if err := log.Setup(ctx); err != nil {
			return err
		}
	}
	if err := do(log, deadletters.New(log)); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}

// missing is the error for letters that were named and are not there.
func missing(s *deadletters.Selection) error {
	if names := s.Missing(); len(names) > 0 {
		return fmt.Errorf("%w: %s", deadletters.ErrNotFound, strings.Join(names, ", "))
	}
	return nil
}

// jsonFlag asks for JSON lines where a terminal would get a table.
func jsonFlag(flags *pflag.FlagSet, asJSON *bool) {
	flags.BoolVar(asJSON, "json", false, "print JSON lines (default in a pipe)")
}
