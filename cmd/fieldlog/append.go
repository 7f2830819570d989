package main

//	stdin, JSON lines -> event of a kind, strictly -> eventlog.Batch -> positions as JSON lines

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

func (p *program) appendCommand() *cobra.Command {
	var flags logFlags
	cmd := &cobra.Command{
		Use:   "append KIND",
		Short: "Append events, given as JSON lines on stdin",
		Long: `Reads one JSON object a line from stdin, with exactly the fields of the kind's newest schema ("fieldlog schemas show KIND"
prints it; times are RFC 3339), and appends each as an event. It prints where each is as a JSON line once
every in-sync replica has it. It ends at the first line that is not such an event; what it printed before is in the log.

Kinds: ` + strings.Join(kindNames(), ", ") + ".",
		Example:           `  fieldlog tail --limit 1 | jq -c .event | fieldlog append telemetry.reported`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.FixedCompletions(kindNames(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := kindOf(args[0])
			if err != nil {
				return err
			}
			return p.append(cmd.Context(), kind, flags)
		},
	}
	flags.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	return cmd
}

func kindNames() []string {
	names := make([]string, 0, len(schemas.Kinds()))
	for _, kind := range schemas.Kinds() {
		names = append(names, kind.Fact)
	}
	return names
}

// kindOf finds a kind by its fact or its subject.
func kindOf(name string) (schemas.Kind, error) {
	for _, kind := range schemas.Kinds() {
		if name == kind.Fact || name == string(kind.Subject) {
			return kind, nil
		}
	}
	return schemas.Kind{}, usagef("there is no kind of event %q; there are %s", name, strings.Join(kindNames(), ", "))
}

const (
	maxLine   = 8 << 20 // bytes of one event in JSON
	batchSize = 500     // events appended together
)

func (p *program) append(ctx context.Context, kind schemas.Kind, flags logFlags) error {
	logger, err := p.logger()
	if err != nil {
		return err
	}
	log, err := flags.open(ctx, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Setup(ctx); err != nil {
		return err
	}
	a := &appending{log: log, kind: kind, out: json.NewEncoder(p.stdout), batch: log.NewBatch()}
	return a.run(ctx, p.stdin)
}

// appending is one append under way.
type appending struct {
	log   *eventlog.Log
	kind  schemas.Kind
	out   *json.Encoder
	batch *eventlog.Batch
	first int // line of the first event of the batch
}

func (a *appending) run(ctx context.Context, in io.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	number := 0
	for lines.Scan() && ctx.Err() == nil {
		number++
		if len(strings.TrimSpace(lines.Text())) == 0 {
			continue
		}
		if err := a.add(number, lines.Bytes()); err != nil {
			if committed := a.commit(ctx); committed != nil {
				return committed
			}
			return fmt.Errorf("append line %d: %w", number, err)
		}
		if a.batch.Len() == batchSize {
			if err := a.commit(ctx); err != nil {
				return err
			}
		}
	}
	if err := a.commit(ctx); err != nil {
		return err
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read line %d: %w", number+1, err)
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}

func (a *appending) add(number int, text []byte) error {
	event, err := a.log.EventFromJSON(a.kind, text)
	if err != nil {
		return err
	}
	if a.batch.Len() == 0 {
		a.first = number
	}
	return a.batch.Add(event)
}

// appended is what is printed for an event.
type appended struct {
	Topic     eventlog.Topic     `json:"topic"`
	Partition eventlog.Partition `json:"partition"`
	Offset    eventlog.Offset    `json:"offset"`
}

// commit appends what was added and prints where it is.
func (a *appending) commit(ctx context.Context) error {
	var failure error
	for i, result := range a.batch.Commit(context.WithoutCancel(ctx)) {
		if result.Err != nil {
			failure = fmt.Errorf("append event %d from line %d on: %w", i+1, a.first, result.Err)
			continue
		}
		if err := a.out.Encode(appended{result.Topic, result.Partition, result.Offset}); err != nil {
			return err
		}
	}
	a.batch.Release()
	a.batch = a.log.NewBatch()
	return failure
}
