package main

//	topic -> eventlog.Read (from a time, an offset, ...) -> filter by key -> decode with the writer's schema -> JSON lines

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

type tailFlags struct {
	log            logFlags
	from           string
	client, device string
	follow         bool
	headers        bool
	limit          int
}

func (p *program) tailCommand() *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail [TOPIC]",
		Short: "Print the events of a topic as JSON lines",
		Long: `Prints the records of a topic (default telemetry) as JSON lines: where each is, its key, and the event, decoded with the
schema that wrote it. A record that is not ours is printed with the reason and its bytes in base64. Records of one
partition come in order. Without --follow it ends where the topic ended when it began.`,
		Example: `  fieldlog tail -f
  fieldlog tail --from -15m --client cliente02 --device pump-7
  fieldlog tail deadletters | jq '.event.reason'
  fieldlog tail --from 2026-11-24T04:00:00Z --limit 10`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(topicNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			topic := string(eventlog.TopicTelemetry)
			if len(args) == 1 {
				topic = args[0]
			}
			return p.tail(cmd.Context(), topic, f)
		},
	}
	flags := cmd.Flags()
	f.log.bind(flags, defaultBrokers, defaultRegistry)
	flags.StringVar(&f.from, "from", "", "where to begin: start, end, an offset, a time (RFC 3339), a date, or how long ago (-15m) (default end with --follow, else start)")
	flags.StringVar(&f.client, "client", "", "only records of this client, by their key")
	flags.StringVar(&f.device, "device", "", "only records of this device, by their key")
	flags.BoolVarP(&f.follow, "follow", "f", false, "wait for new records")
	flags.BoolVar(&f.headers, "headers", false, "print the records' headers too")
	flags.IntVar(&f.limit, "limit", 0, "end after so many records (default no limit)")
	return cmd
}

func topicNames() []string {
	names := make([]string, 0, len(eventlog.Topics()))
	for _, spec := range eventlog.Topics() {
		names = append(names, string(spec.Name))
	}
	return names
}

func (p *program) tail(ctx context.Context, topic string, f tailFlags) error {
	from, err := parseFrom(f.from, f.follow, time.Now())
	if err != nil {
		return err
	}
	if f.limit < 0 {
		return usagef("--limit %d is negative", f.limit)
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
	options := eventlog.ReadOptions{
		Topic: eventlog.Topic(strings.TrimPrefix(topic, f.log.cfg.Prefix)), From: from, Follow: f.follow,
	}
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	keys, printed := eventlog.Keys{Client: f.client, Device: f.device}, 0
	for record, err := range log.Read(ctx, options) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if !keys.Match(record.Key) {
			continue
		}
		if err := writeRecord(ctx, out, log, record, f); err != nil {
			return err
		}
		if printed++; printed == f.limit {
			break
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if ctx.Err() != nil && !f.follow {
		return errInterrupted
	}
	return nil
}

// parseFrom reads --from.
func parseFrom(text string, follow bool, now time.Time) (eventlog.From, error) {
	switch {
	case text == "" && follow:
		return eventlog.FromEnd(), nil
	case text == "":
		return eventlog.FromStart(), nil
	}
	from, err := eventlog.ParseFrom(text, now)
	if err != nil {
		return from, usagef("--from %w", err)
	}
	return from, nil
}

// writeRecord prints a record and, when following, shows it at once.
func writeRecord(ctx context.Context, out *bufio.Writer, log *eventlog.Log, r *eventlog.Record, f tailFlags) error {
	line, err := log.Line(ctx, r, f.headers)
	if err != nil {
		return err
	}
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := out.Write(append(text, '\n')); err != nil {
		return err
	}
	if f.follow {
		return out.Flush()
	}
	return nil
}
