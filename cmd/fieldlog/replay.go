package main

//	topics clients, provisioning, effects -> projections/provisioning -> what is done, what would be done, what is missing
//	                                                                        `-> --apply-missing: interventions, after a question

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/projections/provisioning"
	"github.com/fieldlog/fieldlog/schemas"
)

type replayFlags struct {
	log          logFlags
	client       string
	applyMissing bool
	dryRun       bool
	yes          bool
	why          string
}

func (p *program) replayCommand() *cobra.Command {
	var f replayFlags
	orders := &cobra.Command{
		Use:   "orders",
		Short: "Replay the history of orders and say what is done, what would be done, and what is missing",
		Long: `Reads the whole history of orders and of their provisioning and folds it as a provisioner does. It holds no credentials and
has no code that acts: nothing is provisioned by it. Each order is told as

  done     its latest version runs, or is removed
  would    a provisioner that runs will go on with it
  missing  it was abandoned: nothing goes on by itself

--apply-missing appends an intervention for each order that is missing, after a question: the provisioner tries them again.`,
		Example: "  fieldlog replay orders --dry-run\n  fieldlog replay orders --client cliente02 --apply-missing --why 'the cluster is back'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.replayOrders(cmd.Context(), f) },
	}
	flags := orders.Flags()
	f.log.bind(flags, defaultBrokers, defaultRegistry)
	flags.StringVar(&f.client, "client", "", "only orders of this client")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say it, which is the default")
	flags.BoolVar(&f.applyMissing, "apply-missing", false, "let the provisioner try again what is missing, after a question")
	flags.BoolVar(&f.yes, "yes", false, "do not ask")
	flags.StringVar(&f.why, "why", "", "why it is tried again, for the audit")
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Read history again, without its effects",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return usagef("say replay orders") },
	}
	cmd.AddCommand(orders)
	return cmd
}

// The verdicts on an order.
const (
	verdictDone    = "done"
	verdictWould   = "would"
	verdictMissing = "missing"
)

// replayed is an order as it is printed.
type replayed struct {
	Verdict   string    `json:"verdict"`
	Client    string    `json:"client"`
	OrderID   string    `json:"order_id"`
	Version   int32     `json:"version"`
	Namespace string    `json:"namespace,omitempty"`
	Product   string    `json:"product,omitempty"`
	Cancelled bool      `json:"cancelled,omitempty"`
	State     string    `json:"state,omitempty"`
	Steps     int32     `json:"steps_done"`
	Attempt   int32     `json:"attempt,omitempty"`
	NextTry   time.Time `json:"next_try,omitzero"`
	TraceID   string    `json:"trace_id"`
}

func (p *program) replayOrders(ctx context.Context, f replayFlags) error {
	if f.dryRun && f.applyMissing {
		return usagef("--dry-run and --apply-missing exclude each other")
	}
	if f.applyMissing && f.why == "" {
		return usagef("--apply-missing needs --why, which is kept in the log")
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
	orders, err := replay(ctx, log, f.client)
	if err != nil {
		return err
	}
	if err := p.printReplayed(orders); err != nil || !f.applyMissing {
		return err
	}
	return p.applyMissing(ctx, log, f, orders)
}

// replay folds the history, one partition after the other.
func replay(ctx context.Context, log *eventlog.Log, client string) ([]replayed, error) {
	ends, err := log.Ends(ctx, eventlog.TopicClients)
	if err != nil {
		return nil, err
	}
	var all []replayed
	for partition := range ends {
		state := provisioning.New()
		if _, err := log.History(ctx, partition, eventlog.ProvisioningTopics(), state.Apply); err != nil {
			return nil, err
		}
		for _, o := range state.All() {
			if o.Version > 0 && (client == "" || o.Client == client) {
				all = append(all, judge(o))
			}
		}
	}
	slices.SortFunc(all, func(a, b replayed) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.OrderID, b.OrderID))
	})
	return all, nil
}

func judge(o *provisioning.Order) replayed {
	p := o.Progress()
	r := replayed{
		Verdict: verdictWould, Client: o.Client, OrderID: o.ID, Version: o.Version, Namespace: o.Terms.Namespace, Product: o.Terms.Product,
		Cancelled: o.Cancelled, State: string(p.Ended), Steps: p.Done, Attempt: p.Attempt, TraceID: o.TraceID,
	}
	if p.NextTry > 0 {
		r.NextTry = p.NextTry.Time()
	}
	switch p.Ended {
	case schemas.ProvisioningSucceeded, schemas.ProvisioningDeprovisioned:
		r.Verdict = verdictDone
	case schemas.ProvisioningAbandoned:
		r.Verdict = verdictMissing
	}
	return r
}

func (p *program) printReplayed(orders []replayed) error {
	if p.columns == 0 {
		out := json.NewEncoder(p.stdout)
		for _, o := range orders {
			if err := out.Encode(o); err != nil {
				return err
			}
		}
		return nil
	}
	t := table{header: []string{"verdict", "client", "order", "version", "namespace", "product", "steps done", "tries", "trace"}, right: []bool{3: true, 6: true, 7: true, 8: false}}
	counts := map[string]int{}
	for _, o := range orders {
		counts[o.Verdict]++
		t.rows = append(t.rows, []string{o.Verdict, o.Client, o.OrderID, fmt.Sprint(o.Version), o.Namespace, o.Product, fmt.Sprint(o.Steps), fmt.Sprint(o.Attempt), o.TraceID})
	}
	if _, err := p.stdout.Write(t.text(p.columns)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%d done, %d would be done, %d missing\n", counts[verdictDone], counts[verdictWould], counts[verdictMissing])
	return err
}

// applyMissing lets the provisioner try again what was abandoned.
func (p *program) applyMissing(ctx context.Context, log *eventlog.Log, f replayFlags, orders []replayed) error {
	missing := slices.DeleteFunc(slices.Clone(orders), func(o replayed) bool { return o.Verdict != verdictMissing })
	if len(missing) == 0 {
		fmt.Fprintln(p.stderr, "nothing is missing")
		return nil
	}
	if !f.yes && !p.agree(fmt.Sprintf("Let the provisioner try %d orders again?", len(missing))) {
		return errors.New("not confirmed: nothing was appended")
	}
	if err := log.Setup(ctx); err != nil {
		return err
	}
	for _, o := range missing {
		event := intervention(o.Client, o.OrderID, o.Version, schemas.InterventionRetry, f.why, o.TraceID)
		if _, err := log.Append(ctx, event); err != nil {
			return fmt.Errorf("retry order %q of %q: %w", o.OrderID, o.Client, err)
		}
	}
	fmt.Fprintf(p.stderr, "%d orders are tried again\n", len(missing))
	return nil
}

// agree asks a question on the terminal. Where there is none, the answer is no.
func (p *program) agree(question string) bool {
	fmt.Fprintf(p.stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(p.stdin).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(answer), "y")
}

// intervention is what an operator decided about an order.
func intervention(client, order string, version int32, action schemas.Intervention, why, trace string) *schemas.ProvisioningIntervened {
	now := schemas.TimeOf(time.Now())
	event := &schemas.ProvisioningIntervened{OrderID: order, Client: client, Version: version, Action: action, By: osUser(), Why: why}
	event.Envelope = schemas.Envelope{
		EventID: uuid.Must(uuid.NewV7()).String(), EventType: "fieldlog.cli.provisioning." + client + "." + string(action),
		EventTime: now, ReceivedTime: now, TraceID: trace, Origin: "cli", Host: hostname(), Publisher: "fieldlog",
	}
	return event
}
