package main

//	topics of orders, effects, provisioning, notifications, letters -----+
//	ClickHouse: reports -------------------------------------------------+-> internal/story -> one line a chapter, or JSON lines

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/story"
)

type traceFlags struct {
	log        logFlags
	clickhouse clickhouseFlags
	since      string
	asJSON     bool
}

func (p *program) traceCommand() *cobra.Command {
	var f traceFlags
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Tell the whole story of a trace, in the order of time",
		Long: `Reads the topics of orders, their facts, effects, provisioning and notifications, of events and dead letters, and the reports that ClickHouse has,
and prints what belongs to one trace: what was asked for, decided and done, step by step, with tries and errors. Where ClickHouse does
not answer, the rest is told and a note says so. It ends with 1 if nothing is known of the trace.`,
		Example: "  fieldlog trace 4bf92f3577b34da6a3ce929d0e0e4736\n  fieldlog trace 4bf92f3577b34da6a3ce929d0e0e4736 --json | jq .kind",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return p.trace(cmd.Context(), f, args[0]) },
	}
	flags := cmd.Flags()
	f.log.bind(flags, defaultBrokers, defaultRegistry)
	f.clickhouse.bind(flags, defaultClickHouse)
	flags.StringVar(&f.since, "since", "", "how far back to look, as -24h, or a time (default all that the log holds)")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON lines, with the events")
	return cmd
}

func (p *program) trace(ctx context.Context, f traceFlags, id string) error {
	var since time.Time
	if f.since != "" {
		var valid bool
		if since, valid = eventlog.ParseTime(f.since, time.Now()); !valid {
			return usagef("--since %q is neither a time nor a duration ago such as -24h", f.since)
		}
	}
	logger, err := p.logger()
	if err != nil {
		return err
	}
	log, err := f.log.open(ctx, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	tables, err := f.clickhouse.new()
	if err != nil {
		return err
	}
	defer closing(tables, logger)
	told, err := story.New(log, tables).Tell(ctx, id, since)
	if err != nil {
		return err
	}
	for _, note := range told.Notes {
		fmt.Fprintln(p.stderr, "note:", note)
	}
	if len(told.Chapters) == 0 {
		fmt.Fprintf(p.stderr, "nothing is known of trace %q\n", id)
		return errSilent
	}
	return p.printStory(told, f.asJSON || p.columns == 0)
}

func (p *program) printStory(told *story.Story, asJSON bool) error {
	if asJSON {
		out := json.NewEncoder(p.stdout)
		for i := range told.Chapters {
			if err := out.Encode(&told.Chapters[i]); err != nil {
				return err
			}
		}
		return nil
	}
	marks := map[story.Tone]string{story.Good: "✓", story.Bad: "✗", story.Busy: "›", story.Quiet: "·"}
	begun := told.Chapters[0].Time
	for _, c := range told.Chapters {
		_, err := fmt.Fprintf(p.stdout, "%s %+9.3fs %s %s  %s  %s/%d@%d\n", c.Time.Format("15:04:05.000"), c.Time.Sub(begun).Seconds(),
			marks[c.Tone], printable(c.Title), printable(c.Detail), c.Topic, c.Partition, c.Offset)
		if err != nil {
			return err
		}
	}
	return nil
}
