package main

//	Desk.List -> a table on a terminal, JSON lines in a pipe

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	projection "github.com/fieldlog/fieldlog/projections/deadletters"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/deadletters"
)

// letterStates are the values of --state.
var letterStates = map[string][]projection.State{
	"open":      {projection.Open},
	"redriven":  {projection.Redriven},
	"discarded": {projection.Discarded},
	"all":       {projection.Open, projection.Redriven, projection.Discarded},
}

var letterStateNames = []string{"open", "redriven", "discarded", "all"}

type listFlags struct {
	selection selectionFlags
	state     string
	limit     int
	asJSON    bool
}

func (p *program) listLettersCommand(log *logFlags) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Long: `Lists the open dead letters, or those in another --state: a table on a terminal, JSON lines in a pipe. Letters of one key
come in the order in which they were written.`,
		Example: `  fieldlog deadletters list
  fieldlog deadletters list --state all --client cliente02 | jq -r '[.reason, .detail] | @tsv' | sort | uniq -c`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.listLetters(cmd.Context(), log, f)
		},
	}
	f.selection.bind(cmd)
	cmd.Flags().StringVar(&f.state, "state", "open", "which: "+strings.Join(letterStateNames, ", "))
	cmd.Flags().IntVar(&f.limit, "limit", 0, "end after so many letters (default no limit)")
	jsonFlag(cmd.Flags(), &f.asJSON)
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(letterStateNames, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return cmd
}

func (p *program) listLetters(ctx context.Context, log *logFlags, f listFlags) error {
	s, err := f.selection.selection(log.cfg.Prefix, nil, time.Now())
	if err != nil {
		return err
	}
	states, known := letterStates[f.state]
	switch {
	case !known:
		return usagef("--state %q is none of %s", f.state, strings.Join(letterStateNames, ", "))
	case f.limit < 0:
		return usagef("--limit %d is negative", f.limit)
	}
	return p.atDesk(ctx, log, false, func(_ *eventlog.Log, desk *deadletters.Desk) error {
		if p.columns == 0 || f.asJSON {
			return printLetters(ctx, p.stdout, desk, s, states, f.limit)
		}
		return p.letterTable(ctx, desk, s, states, f.limit)
	})
}

// letterLine is a letter in JSON.
type letterLine struct {
	Letter   string         `json:"letter"`
	ID       string         `json:"id"`
	State    string         `json:"state"`
	Written  time.Time      `json:"written"`
	Reason   schemas.Reason `json:"reason"`
	Detail   string         `json:"detail"`
	Attempt  int32          `json:"attempt"`
	Record   string         `json:"record,omitempty"`
	Recorded time.Time      `json:"record_time"`
	Key      string         `json:"key"`
	Client   string         `json:"client"`
	Device   string         `json:"device"`
	TraceID  string         `json:"trace_id,omitempty"`
	Size     int32          `json:"size"`
	Cut      bool           `json:"cut,omitempty"`
}

func lineOf(l *deadletters.Letter) letterLine {
	e := l.Event
	client, device := deadletters.ClientOf(e)
	line := letterLine{
		Letter: l.At.String(), ID: e.EventID, State: l.State.String(), Written: e.ReceivedTime.Time(), Reason: e.Reason,
		Detail: e.Detail, Attempt: l.Attempt, Recorded: e.EventTime.Time(), Key: string(e.Key), Client: client, Device: device,
		TraceID: e.TraceID, Size: l.Size, Cut: e.Cut(),
	}
	if e.Offset >= 0 {
		line.Record = deadletters.RecordOf(e).String()
	}
	return line
}

func printLetters(ctx context.Context, w io.Writer, desk *deadletters.Desk, s *deadletters.Selection, states []projection.State, limit int) error {
	buffer := bufio.NewWriterSize(w, 64<<10)
	out := json.NewEncoder(buffer)
	printed := 0
	var failed error
	err := desk.List(ctx, s, states, func(l *deadletters.Letter) bool {
		failed = out.Encode(lineOf(l))
		printed++
		return failed == nil && printed != limit
	})
	return firstError(err, failed, buffer.Flush())
}

func firstError(errs ...error) error {
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// letterTable draws at most maxRows letters: a table is for reading.
func (p *program) letterTable(ctx context.Context, desk *deadletters.Desk, s *deadletters.Selection, states []projection.State, limit int) error {
	t := table{header: []string{"letter", "written", "reason", "key", "record", "attempt", "state", "detail"}, right: []bool{5: true}}
	more := false
	err := desk.List(ctx, s, states, func(l *deadletters.Letter) bool {
		if more = len(t.rows) == maxRows; more {
			return false
		}
		line := lineOf(l)
		position := strings.TrimPrefix(line.Letter, string(eventlog.TopicDeadLetters)+"/")
		t.rows = append(t.rows, []string{
			position, line.Written.Format(time.DateTime), string(line.Reason), line.Key, line.Record, strconv.Itoa(int(line.Attempt)), line.State, line.Detail,
		})
		return len(t.rows) != limit
	})
	if err != nil {
		return err
	}
	if _, err := p.stdout.Write(t.text(p.columns)); err != nil {
		return err
	}
	ending := fmt.Sprintf("%d letters", len(t.rows))
	if more {
		ending = fmt.Sprintf("the first %d letters; --json prints them all", len(t.rows))
	}
	_, err = fmt.Fprintln(p.stdout, ending)
	return err
}
