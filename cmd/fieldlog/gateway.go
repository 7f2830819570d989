package main

//	devices, curl, Telegraf -> HTTP on --listen -> services/gateway -> eventlog -> topics telemetry, orders
//	workers in any language <-> CloudEvents, JSON ----^     |-> topic events; any topic as NDJSON or server-sent events
//	                                                        `-> services/directory <- topics client-state, clients
//	                              `-> /metrics /healthz /readyz /openapi.json

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/obs"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/internal/run"
	"github.com/fieldlog/fieldlog/internal/settings"
	"github.com/fieldlog/fieldlog/services/directory"
	"github.com/fieldlog/fieldlog/services/gateway"
)

// gatewayFlags say how reports are taken.
type gatewayFlags struct {
	cfg     gateway.Config
	tokens  string
	answers bool
}

func (g *gatewayFlags) bind(flags *pflag.FlagSet) {
	c := &g.cfg
	flags.StringVar(&c.Listen, "listen", "127.0.0.1:8080", "address of the gateway; off loopback an access token is required")
	settings.Secret(flags, &g.tokens, "gateway-token", "access tokens of the gateway, separated by commas")
	flags.Int64Var(&c.MaxBody, "max-body", 8<<20, "bytes of a request, before and after unpacking")
	flags.Int64Var(&c.MaxInFlight, "max-in-flight", 256<<20, "bytes of all requests under way")
	flags.IntVar(&c.MaxConnections, "max-connections", 4096, "open connections")
	flags.IntVar(&c.MaxItems, "max-items", 10_000, "reports or events of a request")
	flags.IntVar(&c.MaxReaders, "max-readers", 64, "requests that read topics at the same time")
	flags.DurationVar(&c.HeaderTimeout, "header-timeout", 10*time.Second, "wait for a request's header")
	flags.Int64Var(&c.MinRate, "min-rate", 1024, "bytes a second below which a request counts as stalled")
	flags.DurationVar(&c.Drain, "drain", 15*time.Second, "wait for requests under way in the end")
	flags.DurationVar(&c.ReceiptsEvery, "receipts-every", 5*time.Second, "time between two receipts of what the log confirmed, for the audit")
	flags.DurationVar(&c.Age, "max-age", 10*365*24*time.Hour, "how long ago a reading may be")
	flags.DurationVar(&c.Future, "max-future", 10*time.Minute, "how far ahead of the gateway's clock a reading may be")
	flags.IntVar(&c.Limits.Readings, "max-readings", 10_000, "readings of a report")
	flags.IntVar(&c.Limits.Name, "max-name", 128, "bytes of a client's, device's or metric's name")
	flags.IntVar(&c.Limits.Text, "max-text", 4096, "bytes of a text value")
	flags.IntVar(&c.Limits.Labels, "max-labels", 32, "labels of a report")
	flags.BoolVar(&c.Strict, "strict", false, "refuse unknown fields, which are otherwise skipped and counted")
	flags.DurationVar(&c.RetryWait, "retry-wait", time.Second, "how long an answer waits to learn whether its report is a retry")
	flags.BoolVar(&g.answers, "retry-answers", true, "say in the answer that a report is a retry, for which the partitions that reports with ids go to are read")
	flags.StringSliceVar(&c.ClientTags, "client-tags", []string{"client", "tenant"}, "tags of the line protocol that name the client, in order of preference")
	flags.StringSliceVar(&c.DeviceTags, "device-tags", []string{"device", "device_id", "host"}, "tags of the line protocol that name the device")
}

// config returns the gateway's configuration.
func (g *gatewayFlags) config() (gateway.Config, error) {
	cfg := g.cfg
	cfg.SilentRetries = !g.answers
	for token := range strings.SplitSeq(g.tokens, ",") {
		if token = strings.TrimSpace(token); token != "" {
			cfg.Tokens = append(cfg.Tokens, token)
		}
	}
	if err := cfg.Validate(); err != nil {
		return cfg, usagef("%w", err)
	}
	host, err := os.Hostname()
	if err == nil {
		cfg.Host = host // a machine that has no name needs none
	}
	return cfg, nil
}

// service returns the gateway, which listens already but answers only when it runs.
//
// It takes orders of what the catalogue sells, and shows what the directory knows of them.
func (g *gatewayFlags) service(ctx context.Context, catalogue *products.Catalogue, known *directory.Directory, log *eventlog.Log, logger *slog.Logger, reg *prometheus.Registry, ready ...func(context.Context) error) (*gateway.Gateway, error) {
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	cfg.Products, cfg.Book = catalogue.Sold, known
	cfg.Ready = allReady(append(ready, log.Ready, known.Ready))
	door, err := gateway.New(cfg, log, logger, reg, reg)
	if err != nil {
		return nil, err
	}
	for _, route := range known.Routes() {
		door.Mount(route.Method, route.Path, "directory", route.Serve)
	}
	return door, door.Listen(ctx)
}

// part runs a gateway; what it waits for in the end is bounded by --drain.
func (g *gatewayFlags) part(door *gateway.Gateway) run.Part {
	return run.Part{Name: "gateway", Run: door.Run, Drain: g.cfg.Drain + 5*time.Second}
}

// showing runs a directory.
func showing(d *directory.Directory) run.Part {
	return run.Part{Name: "directory", Run: d.Run, Ready: whenReady(d.Ready)}
}

func allReady(checks []func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		failures := make([]error, len(checks))
		for i, ready := range checks {
			failures[i] = ready(ctx)
		}
		return errors.Join(failures...)
	}
}

func (p *program) gatewayCommand() *cobra.Command {
	var l logFlags
	var g gatewayFlags
	var r retryFlags
	var c productFlags
	cmd := &cobra.Command{
		Use:   "gateway",
		Short: "Run the service that takes reports, orders and events over HTTP, and lets workers read",
		Long: `Takes telemetry over HTTP (JSON, NDJSON, InfluxDB's line protocol), orders and CloudEvents, checks them and appends them to the
log; an answer of 2xx means that every in-sync replica has them. It shows clients and their orders, and hands out the
records of every topic as JSON. It keeps no state of its own: run any number of them. SIGINT or SIGTERM lets requests finish.`,
		Example: "  fieldlog gateway --listen :8080 --gateway-token-file token --brokers kafka:9092 --registry http://registry:8081",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g.cfg.Retries = r.limits
			return p.gateway(cmd.Context(), &l, &g, &c)
		},
	}
	g.bind(cmd.Flags())
	r.bind(cmd.Flags())
	l.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	c.bind(cmd.Flags())
	return cmd
}

func (p *program) gateway(ctx context.Context, l *logFlags, g *gatewayFlags, c *productFlags) error {
	p.tune()
	logger, err := p.serviceLogger(p.stdout)
	if err != nil {
		return err
	}
	reg := obs.NewRegistry()
	log, err := l.new(logger, reg)
	if err != nil {
		return err
	}
	defer log.Close()
	catalogue, err := c.load()
	if err != nil {
		return err
	}
	known := directory.New(directory.Config{}, log, logger)
	door, err := g.service(ctx, catalogue, known, log, logger, reg)
	if err != nil {
		return err
	}
	return run.Together(ctx, logger,
		setUp(log),
		showing(known),
		g.part(door),
		announce(func() { logger.Info("ready", "gateway", "http://"+reachable(door.Addr())) }),
	)
}
