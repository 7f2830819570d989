package main

//	Desk.Show -> all that is known of one letter: its record, decoded if it can be, and what happened to it

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/deadletters"
)

func (p *program) showLetterCommand(log *logFlags) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "show LETTER",
		Short: "Show all that is known of a dead letter",
		Long: `Shows a dead letter: its reason, its record's key, headers and bytes, the event in them if they decode now, and what happened
to the record so far. On a terminal the bytes are dumped, in a pipe it is one JSON object with the bytes in base64.`,
		Example: "  fieldlog deadletters show 3@17\n  fieldlog deadletters show telemetry/3@42 | jq -r .value | base64 -d > record",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.showLetter(cmd.Context(), log, args[0], asJSON)
		},
	}
	jsonFlag(cmd.Flags(), &asJSON)
	return cmd
}

func (p *program) showLetter(ctx context.Context, flags *logFlags, name string, asJSON bool) error {
	return p.atDesk(ctx, flags, false, func(log *eventlog.Log, desk *deadletters.Desk) error {
		story, err := desk.Show(ctx, letterName(flags.cfg.Prefix, name))
		if err != nil {
			return err
		}
		shown, err := shownLetter(ctx, log, story)
		if err != nil {
			return err
		}
		if p.columns == 0 || asJSON {
			return json.NewEncoder(p.stdout).Encode(shown)
		}
		return shown.print(p.stdout)
	})
}

// letterShown is a letter as it is shown.
type letterShown struct {
	letterLine
	Headers   []headerLine    `json:"headers"`
	Value     []byte          `json:"value"`
	Event     json.RawMessage `json:"event,omitempty"`
	Undecoded string          `json:"undecoded,omitempty"`
	Story     []chapterLine   `json:"story"`
}

type headerLine struct {
	Key   string `json:"key"`
	Value []byte `json:"value"`
}

// chapterLine is one thing that happened to the record.
type chapterLine struct {
	At       string    `json:"at"`
	Time     time.Time `json:"time"`
	What     string    `json:"what"`
	Attempt  int32     `json:"attempt"`
	Operator string    `json:"operator,omitempty"`
	Host     string    `json:"host,omitempty"`
	Detail   string    `json:"detail,omitempty"`
}

func shownLetter(ctx context.Context, log *eventlog.Log, story *deadletters.Story) (*letterShown, error) {
	shown := &letterShown{letterLine: lineOf(story.Letter), Value: story.Event.Value, Headers: []headerLine{}}
	headers := story.Event.Headers
	if story.Record != nil {
		shown.Cut, shown.Value, headers = false, story.Record.Value, story.Record.Headers
		event, err := log.JSON(ctx, story.Record)
		var refusal *eventlog.Refusal
		switch {
		case errors.As(err, &refusal):
			shown.Undecoded = refusal.Error()
		case err != nil:
			return nil, err
		}
		shown.Event = event
	}
	for _, h := range headers {
		shown.Headers = append(shown.Headers, headerLine(h))
	}
	for _, c := range story.Chapters {
		shown.Story = append(shown.Story, chapterOf(c))
	}
	return shown, nil
}

func chapterOf(c deadletters.Chapter) chapterLine {
	head := c.Event.Head()
	line := chapterLine{At: c.At.String(), Time: c.Time, What: c.What, Attempt: head.Attempt, Host: head.Host}
	switch e := c.Event.(type) {
	case *schemas.DeadLetter:
		line.Detail = fmt.Sprintf("%s: %s", e.Reason, e.Detail)
	case *schemas.DeadLetterRedriven:
		line.Operator, line.Detail = e.Operator, e.Why
	case *schemas.DeadLetterDiscarded:
		line.Operator, line.Detail = e.Operator, e.Why
	}
	return line
}

// maxDump bounds the bytes that are dumped on a terminal.
const maxDump = 4 << 10

// print writes it for people.
func (l *letterShown) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "letter   %s  %s, attempt %d\nid       %s\nwritten  %s\nreason   %s: %s\n", l.Letter, l.State, l.Attempt, l.ID, l.Written.Format(time.RFC3339), l.Reason, printable(l.Detail))
	fmt.Fprintf(&b, "record   %s of %s\nkey      %s\n", l.Record, l.Recorded.Format(time.RFC3339), printable(l.Key))
	for _, h := range l.Headers {
		fmt.Fprintf(&b, "header   %s: %s\n", printable(h.Key), printable(string(h.Value)))
	}
	for _, c := range l.Story {
		fmt.Fprintf(&b, "story    %s  %s  attempt %d  %s %s\n", c.Time.Format(time.RFC3339), c.What, c.Attempt, c.Operator, printable(c.Detail))
	}
	switch {
	case l.Event != nil:
		fmt.Fprintf(&b, "event    %s\n", printable(string(l.Event)))
	case l.Undecoded != "":
		fmt.Fprintf(&b, "event    none: %s\n", printable(l.Undecoded))
	}
	if l.Cut {
		fmt.Fprintf(&b, "The letter has %d of %d bytes, and the record is no longer in its topic.\n", len(l.Key)+len(l.Value), l.Size)
	}
	fmt.Fprintf(&b, "value    %d bytes\n%s", len(l.Value), hex.Dump(l.Value[:min(len(l.Value), maxDump)]))
	if len(l.Value) > maxDump {
		fmt.Fprintf(&b, "... the first %d bytes; --json prints them all\n", maxDump)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printable makes text of a stranger harmless for a terminal.
func printable(text string) string { return fit(text, maxDump) }
