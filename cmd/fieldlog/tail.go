package main

//	topic -> eventlog.Read (from a time, an offset, ...) -> filter by key -> decode with the writer's schema -> JSON lines

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
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
	printed := 0
	for record, err := range log.Read(ctx, options) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		if !keyMatches(record.Key, f.client, f.device) {
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

// keyMatches tells whether a record's key, client/device or client, is of a client and a device; empty ones match all.
func keyMatches(key []byte, client, device string) bool {
	keyClient, keyDevice, _ := bytes.Cut(key, []byte("/"))
	return (client == "" || client == string(keyClient)) && (device == "" || device == string(keyDevice))
}

// parseFrom reads --from.
func parseFrom(text string, follow bool, now time.Time) (eventlog.From, error) {
	switch {
	case text == "end", text == "" && follow:
		return eventlog.FromEnd(), nil
	case text == "start", text == "":
		return eventlog.FromStart(), nil
	}
	if offset, err := strconv.ParseInt(text, 10, 64); err == nil && offset >= 0 {
		return eventlog.FromOffset(eventlog.Offset(offset)), nil
	}
	if t, ok := parseInstant(text, now); ok {
		return eventlog.FromTime(t), nil
	}
	return eventlog.From{}, usagef("--from %q is not start, end, an offset, a time like 2026-11-24T04:00:00Z, a date, or a duration ago like -15m", text)
}

// parseInstant reads a time (RFC 3339), a date, or how long ago (-15m).
func parseInstant(text string, now time.Time) (t time.Time, ok bool) {
	if ago, err := time.ParseDuration(text); err == nil && ago < 0 {
		return now.Add(ago), true
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// line is one record as tail prints it.
type line struct {
	Topic     eventlog.Topic     `json:"topic"`
	Partition eventlog.Partition `json:"partition"`
	Offset    eventlog.Offset    `json:"offset"`
	Timestamp time.Time          `json:"timestamp"`
	Key       string             `json:"key"`
	Headers   map[string]string  `json:"headers,omitempty"`
	Subject   schemas.Subject    `json:"subject,omitempty"`
	SchemaID  int                `json:"schema_id,omitempty"`
	Event     json.RawMessage    `json:"event,omitempty"`
	Reason    schemas.Reason     `json:"reason,omitempty"`
	Detail    string             `json:"detail,omitempty"`
	Value     []byte             `json:"value,omitempty"`
}

// writeRecord prints a record and, when following, shows it at once.
func writeRecord(ctx context.Context, out *bufio.Writer, log *eventlog.Log, r *eventlog.Record, f tailFlags) error {
	l := line{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UTC(), Key: string(r.Key)}
	if f.headers {
		l.Headers = make(map[string]string, len(r.Headers))
		for _, h := range r.Headers {
			l.Headers[h.Key] = string(h.Value)
		}
	}
	ref, err := log.SchemaOf(ctx, r)
	if err == nil {
		l.Subject, l.SchemaID = ref.Subject, ref.ID
		l.Event, err = log.JSON(ctx, r)
	}
	var refusal *eventlog.Refusal
	switch {
	case errors.As(err, &refusal):
		l.Reason, l.Detail, l.Value = refusal.Reason, refusal.Err.Error(), r.Value
	case err != nil:
		return err
	}
	text, err := json.Marshal(l)
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
