package main

//	topics telemetry, clients, provisioning -> eventlog.Blocks -> services/analytics -> ClickHouse
//	                                                                `-> --metrics-listen: /metrics /healthz /readyz

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/analytics"
)

// analyticsFlags say how rows are stored.
type analyticsFlags struct {
	cfg       analytics.Config
	retention map[string]int
}

func (a *analyticsFlags) bind(flags *pflag.FlagSet) {
	flags.IntVar(&a.cfg.Generation, "generation", 1, "set of tables to fill")
	flags.BoolVar(&a.cfg.Shadow, "shadow", false, "leave the public names to another generation")
	flags.IntVar(&a.cfg.MaxRows, "block-rows", 500_000, "rows at which a block is stored")
	flags.IntVar(&a.cfg.MaxBytes, "block-bytes", 64<<20, "bytes in memory at which a block is stored")
	flags.DurationVar(&a.cfg.MaxAge, "block-age", time.Second, "age at which a block is stored")
	flags.IntVar(&a.cfg.Concurrency, "block-concurrency", 4, "blocks stored at a time")
	flags.DurationVar(&a.cfg.SessionTimeout, "session-timeout", 45*time.Second, "how long a process that is not heard of keeps its partitions; brokers bound it")
	flags.StringToIntVar(&a.retention, "retention", nil, "days that rows are kept, by table: readings=90,readings_1m=365 (default for ever)")
	flags.IntVar(&a.cfg.DedupWindow, "dedup-window", 10_000, "inserts a table remembers, when it is created")
	flags.BoolVar(&a.cfg.NoSync, "no-sync", false, "leave it to the operating system when an insert reaches the disk, for tables that are created")
}

func (a *analyticsFlags) config() (analytics.Config, error) {
	cfg := a.cfg
	days := map[string]*int{
		"readings": &cfg.Retention.Readings, "reports": &cfg.Retention.Reports, "duplicates": &cfg.Retention.Duplicates, "readings_1m": &cfg.Retention.Minutes,
		"readings_1h": &cfg.Retention.Hours, "readings_1d": &cfg.Retention.Days, "devices": &cfg.Retention.Devices,
	}
	for name, value := range a.retention {
		if days[name] == nil {
			return cfg, usagef("--retention: there is no table %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(days)), ", "))
		}
		*days[name] = value
	}
	if err := cfg.Validate(); err != nil {
		return cfg, usagef("%w", err)
	}
	return cfg, nil
}

// readings is the table that readings go to.
func (a *analyticsFlags) readings() string { return fmt.Sprintf("readings_g%d", a.cfg.Generation) }

// service returns the service, which has not connected yet.
func (a *analyticsFlags) service(log *eventlog.Log, tables *clickhouse.Client, logger *slog.Logger, reg prometheus.Registerer) (*analytics.Service, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	return analytics.New(cfg, log, tables, logger, reg)
}

func (p *program) analyticsCommand() *cobra.Command {
	var l logFlags
	var c clickhouseFlags
	var a analyticsFlags
	var r retryFlags
	var listen string
	cmd := &cobra.Command{
		Use:   "analytics",
		Short: "Run the service that stores readings and facts about orders, exactly once",
		Long: `Reads the topics telemetry, clients and provisioning, and stores each reading and each fact about an order exactly once in
ClickHouse. Any number of these share the partitions.
SIGINT or SIGTERM finishes the blocks that are being stored; what is not stored yet is left to the next start.`,
		Example: "  fieldlog analytics --brokers kafka:9092 --registry http://registry:8081 --clickhouse http://clickhouse:8123",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.cfg.Retries = r.limits
			return p.analytics(cmd.Context(), &l, &c, &a, listen)
		},
	}
	l.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	c.bind(cmd.Flags(), defaultClickHouse)
	c.bindTables(cmd.Flags())
	a.bind(cmd.Flags())
	r.bind(cmd.Flags())
	cmd.Flags().StringVar(&listen, "metrics-listen", "127.0.0.1:8082", "address of /metrics, /healthz and /readyz")
	return cmd
}

func (p *program) analytics(ctx context.Context, l *logFlags, c *clickhouseFlags, a *analyticsFlags, listen string) error {
	tables, err := c.new()
	if err != nil {
		return err
	}
	defer func() { _ = tables.Close() }() // idle connections, and the process ends
	return p.alone(ctx, "analytics", l, listen, func(log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (service, error) {
		return a.service(log, tables, logger, reg)
	})
}
