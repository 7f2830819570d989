package main

//	topic receipts (what gateways say) --+
//	topics (what the log holds) ---------+--> services/auditor -> a table, JSON lines, or with --every
//	ClickHouse (what the tables hold) ---+                        log lines and metrics on --listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/obs"
	"github.com/fieldlog/fieldlog/internal/run"
	"github.com/fieldlog/fieldlog/services/analytics"
	"github.com/fieldlog/fieldlog/services/auditor"
)

type auditFlags struct {
	log        logFlags
	clickhouse clickhouseFlags
	from, to   string
	generation int
	wait       time.Duration
	json       bool
	every      time.Duration
	listen     string
}

func (p *program) auditCommand() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Hold what was accepted, what the log holds and what ClickHouse holds against each other",
		Long: `Compares, for a window of time, what gateways wrote down as confirmed (topic receipts), what the log holds, and what
ClickHouse holds, by topic, partition and hour, and names every range that is missing or doubled. A table on a terminal,
JSON lines in a pipe. Exit code 0 if all agree, 1 if anything differs, 3 if something could not be reached.

Pending records are not stored yet. Unclaimed ones are in the log and in no receipt, because a gateway was killed or
somebody else appended them. Neither is a difference, and neither is what retention has taken.

With --every it runs until it is ended, and each audit begins where the last left off: every record is compared once it
is stored. What differs is logged, and counted in the metrics fieldlog_audit_... on --listen.`,
		Example: `  fieldlog audit
  fieldlog audit --from -24h --wait
  fieldlog audit --from 2026-11-24 --to 2026-11-25 | jq 'select(.difference)'
  fieldlog audit --every 1m --listen :8086`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.every != 0 {
				return p.auditAlways(cmd.Context(), &f)
			}
			return p.audit(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	f.log.bind(flags, defaultBrokers, defaultRegistry)
	f.clickhouse.bind(flags, defaultClickHouse)
	flags.StringVar(&f.from, "from", "-1h", "beginning of the window: start, a time (RFC 3339), a date, or how long ago (-15m)")
	flags.StringVar(&f.to, "to", "", "end of the window: a time, a date, or how long ago (default now)")
	flags.IntVar(&f.generation, "generation", 0, "set of tables to compare (default the one behind the public names)")
	flags.DurationVar(&f.wait, "wait", 0, "wait first until the window is stored, at most so long (10m if no time is given)")
	flags.Lookup("wait").NoOptDefVal = "10m"
	flags.BoolVar(&f.json, "json", false, "print JSON lines on a terminal too")
	flags.DurationVar(&f.every, "every", 0, "audit again and again, with this time between two beginnings")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8086", "address of /metrics, /healthz and /readyz with --every")
	return cmd
}

// window reads --from and --to.
func (f *auditFlags) window(now time.Time) (auditor.Window, error) {
	var w auditor.Window
	if f.from != "start" {
		from, known := eventlog.ParseTime(f.from, now)
		if !known {
			return w, usagef("--from %q is not start, a time like 2026-11-24T04:00:00Z, a date, or a duration ago like -15m", f.from)
		}
		w.From = from
	}
	if f.to != "" {
		to, known := eventlog.ParseTime(f.to, now)
		if !known {
			return w, usagef("--to %q is not a time like 2026-11-24T04:00:00Z, a date, or a duration ago like -15m", f.to)
		}
		w.To = to
	}
	if !w.To.IsZero() && !w.From.Before(w.To) {
		return w, usagef("--from %s is not before --to %s", w.From.Format(time.RFC3339), w.To.Format(time.RFC3339))
	}
	return w, nil
}

// expiring is how long before their time rows are taken to be gone, so that none goes during an audit.
const expiring = time.Hour

// tables tells the auditor where the rows are.
func (f *auditFlags) tables(ch *clickhouse.Client) func(context.Context) (auditor.Tables, error) {
	return func(ctx context.Context) (auditor.Tables, error) {
		found, err := analytics.Locate(ctx, ch, "", f.generation)
		if err != nil {
			return auditor.Tables{}, err
		}
		return auditor.Tables{
			Generation: found.Generation, Group: found.Group, Readings: found.Readings, Reports: found.Reports, Duplicates: found.Duplicates,
			ReadingsFrom: keptFrom(found.ReadingsDays), ReportsFrom: keptFrom(found.ReportsDays), DuplicatesFrom: keptFrom(found.DuplicatesDays),
		}, nil
	}
}

func keptFrom(days int) time.Time {
	if days == 0 {
		return time.Time{}
	}
	return time.Now().AddDate(0, 0, -days).Add(expiring)
}

func (f *auditFlags) auditor(log *eventlog.Log, ch *clickhouse.Client, logger *slog.Logger, reg prometheus.Registerer, from time.Duration) (*auditor.Auditor, error) {
	if f.generation < 0 || f.wait < 0 {
		return nil, usagef("--generation and --wait are positive")
	}
	a, err := auditor.New(auditor.Config{Tables: f.tables(ch), Every: f.every, From: from}, log, ch, logger, reg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return a, nil
}

// audit audits once.
func (p *program) audit(ctx context.Context, f *auditFlags) error {
	w, err := f.window(time.Now())
	if err != nil {
		return err
	}
	logger, err := p.logger()
	if err != nil {
		return err
	}
	ch, err := f.clickhouse.new()
	if err != nil {
		return err
	}
	defer closing(ch, logger)
	log, err := f.log.open(ctx, logger)
	if err != nil {
		return err
	}
	defer log.Close()
	a, err := f.auditor(log, ch, logger, prometheus.NewRegistry(), 0)
	if err != nil {
		return err
	}
	late := f.waitFor(ctx, a, w)
	if late != nil && !errors.Is(late, context.DeadlineExceeded) {
		return auditError(ctx, late)
	}
	result, err := a.Audit(ctx, w)
	if err != nil {
		return auditError(ctx, err)
	}
	if err := p.printAudit(result, f.json); err != nil {
		return err
	}
	switch {
	case result.Differs():
		return errSilent
	case late != nil:
		return fmt.Errorf("the window was not stored within --wait %s", f.wait)
	}
	return nil
}

// waitFor waits until the window is stored, if that is wanted.
func (f *auditFlags) waitFor(ctx context.Context, a *auditor.Auditor, w auditor.Window) error {
	if f.wait == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, f.wait)
	defer cancel()
	return a.Wait(ctx, w)
}

// auditError tells what was refused from what could not be reached.
func auditError(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return errInterrupted
	case auditor.Unreachable(err):
		return unavailable{fmt.Errorf("%w; see --brokers, --registry and --clickhouse", err)}
	}
	return err
}

// auditAlways audits until ctx ends.
func (p *program) auditAlways(ctx context.Context, f *auditFlags) error {
	p.tune()
	logger, err := p.serviceLogger(p.stdout)
	if err != nil {
		return err
	}
	w, err := f.window(time.Now())
	if err != nil {
		return err
	}
	if w.From.IsZero() || f.to != "" || f.wait != 0 {
		return usagef("--every goes with a --from that is a time, and without --to and --wait")
	}
	ch, err := f.clickhouse.new()
	if err != nil {
		return err
	}
	defer closing(ch, logger)
	reg := obs.NewRegistry()
	log, err := f.log.new(logger, reg)
	if err != nil {
		return err
	}
	defer log.Close()
	a, err := f.auditor(log, ch, logger, reg, time.Since(w.From))
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listen: %w; change --listen", err)
	}
	checks := []obs.Check{{Name: "log", Ready: log.Ready}, {Name: "clickhouse", Ready: ch.Ready}}
	return run.Together(ctx, logger,
		run.Part{Name: "metrics", Run: func(ctx context.Context) error {
			return obs.Serve(ctx, listener, obs.Mux(reg, checks...), logger)
		}},
		setUp(log),
		run.Part{Name: "audit", Run: a.Run},
		announce(func() { logger.Info("ready", "metrics", listener.Addr().String()) }),
	)
}
