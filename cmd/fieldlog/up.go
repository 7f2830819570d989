package main

//	simulated devices (--fleet)            devices, curl, Telegraf
//	        |  HTTP                                |
//	        v                                      v
//	    services/gateway <-------------------------+
//	        |                                                   embedded, unless --brokers,
//	        v                                                   --registry, --clickhouse point elsewhere:
//	    eventlog ---> Kafka topics + schema registry            broker, registry (this process)
//	        |
//	        v
//	    services/analytics ---> ClickHouse                      engine (child: fieldlog engine serve)
//	    services/registrar ---> facts about orders, in the log again
//	    services/provisioner -> a backend (simulated sites by default), and facts about it
//	    services/portal <-- people
//
//	It starts upwards and drains downwards: fleet, portal, gateway, provisioner, registrar and analytics until they have caught up, then the engines.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/embedded"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/fleet"
	"github.com/fieldlog/fieldlog/internal/obs"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/internal/run"
	"github.com/fieldlog/fieldlog/services/directory"
	"github.com/fieldlog/fieldlog/services/gateway"
	"github.com/fieldlog/fieldlog/services/portal"
)

type upFlags struct {
	log         logFlags
	clickhouse  clickhouseFlags
	analytics   analyticsFlags
	gateway     gatewayFlags
	products    productFlags
	registrar   registrarFlags
	provisioner provisionerFlags
	portal      portalFlags
	retries     retryFlags
	embedded    embedded.Config
	fleet       fleet.Config
}

func (p *program) upCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine: broker, registry, ClickHouse and all services",
		Long: `Runs everything in one process tree, with one data folder: a Kafka-protocol broker, a schema registry, the ClickHouse
engine, the gateway, the registrar, the provisioner, analytics and the portal, and with --fleet simulated devices. --brokers, --registry and --clickhouse use real
ones instead. On a terminal it shows what flows and what to try next; otherwise it logs JSON lines on stdout.

SIGINT or SIGTERM drains: what was acknowledged is stored, then it ends with exit code 0. A second one ends it at once;
the next start carries on from what is there, either way.`,
		Example: "  fieldlog up --data ./data --fleet 500\n  fieldlog up --data ./data --brokers kafka:9092 --registry http://registry:8081 --clickhouse http://clickhouse:8123",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.analytics.cfg.Retries, f.gateway.cfg.Retries = f.retries.limits, f.retries.limits
			return p.up(cmd.Context(), &f)
		},
	}
	flags := cmd.Flags()
	f.gateway.bind(flags)
	f.log.bind(flags, nil, "")
	f.clickhouse.bind(flags, "")
	f.clickhouse.bindTables(flags)
	f.analytics.bind(flags)
	f.products.bind(flags)
	f.registrar.bind(flags)
	f.provisioner.bind(flags)
	f.portal.bind(flags)
	f.retries.bind(flags)
	flags.StringVar(&f.embedded.Dir, "data", "./data", "data folder of the embedded engines")
	flags.StringVar(&f.embedded.KafkaAddr, "kafka-listen", "127.0.0.1:9092", "address of the embedded broker")
	flags.StringVar(&f.embedded.RegistryAddr, "registry-listen", "127.0.0.1:8081", "address of the embedded registry")
	flags.StringVar(&f.embedded.ClickHouseAddr, "clickhouse-listen", "127.0.0.1:8123", "address of the embedded ClickHouse engine")
	flags.IntVar(&f.fleet.Devices, "fleet", 0, "simulated devices")
	flags.DurationVar(&f.fleet.Every, "fleet-every", 2*time.Second, "time between two reports of a simulated device")
	flags.DurationVar(&f.fleet.History, "fleet-history", 6*time.Hour, "how far back simulated devices report, one report a minute, when the log is empty")
	return cmd
}

// up runs everything.
func (p *program) up(ctx context.Context, f *upFlags) error {
	p.tune()
	screen := &liveLine{out: p.stdout, columns: p.columns}
	out := p.stdout
	if p.columns > 0 {
		out = screen
	}
	logger, err := p.serviceLogger(out)
	if err != nil {
		return err
	}
	if err := f.validate(); err != nil {
		return err
	}
	engines, err := p.engines(ctx, f, logger)
	if err != nil {
		return err
	}
	if p.columns > 0 {
		context.AfterFunc(ctx, func() {
			fmt.Fprintln(screen, "Draining: what was acknowledged is stored, then it ends. Ctrl-C again ends it at once.")
		})
	}
	served := p.serve(ctx, f, logger, screen)
	return errors.Join(served, engines.Close())
}

// validate finds what is wrong with the flags before anything starts.
func (f *upFlags) validate() error {
	_, gateway := f.gateway.config()
	_, analytics := f.analytics.config()
	if f.fleet.Devices < 0 || f.fleet.Every <= 0 || f.fleet.History < 0 {
		return usagef("--fleet and --fleet-history are not negative, --fleet-every is positive")
	}
	return errors.Join(gateway, analytics, f.portalFits())
}

// engines starts what is embedded and points the flags at it.
func (p *program) engines(ctx context.Context, f *upFlags, logger *slog.Logger) (*embedded.Embedded, error) {
	cfg := f.embedded
	cfg.Logger, cfg.Brokers = logger, f.log.cfg.Brokers
	if len(f.log.cfg.Brokers) > 0 {
		cfg.KafkaAddr = ""
	}
	if f.log.cfg.Registry != "" {
		cfg.RegistryAddr = ""
	}
	if f.clickhouse.cfg.URL != "" {
		cfg.ClickHouseAddr = ""
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cfg.EngineCommand = []string{self, "engine", "serve", "--log-level", "warn"}
	engines := embedded.New(cfg)
	if err := engines.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		return nil, err
	}
	f.log.cfg.Brokers = engines.Brokers()
	if url := engines.RegistryURL(); url != "" {
		f.log.cfg.Registry = url
	}
	if url := engines.ClickHouseURL(); url != "" {
		f.clickhouse.cfg.URL = url
	}
	return engines, nil
}

// serve runs the services until ctx ends and they have drained.
func (p *program) serve(ctx context.Context, f *upFlags, logger *slog.Logger, screen *liveLine) error {
	reg := obs.NewRegistry()
	log, err := f.log.new(logger, reg)
	if err != nil {
		return err
	}
	defer log.Close()
	tables, err := f.clickhouse.new()
	if err != nil {
		return err
	}
	defer closing(tables, logger)
	storing, err := f.analytics.service(log, tables, logger, reg)
	if err != nil {
		return err
	}
	catalogue, err := f.products.load()
	if err != nil {
		return err
	}
	deciding, err := f.registrar.service(catalogue, log, logger, reg)
	if err != nil {
		return err
	}
	known := directory.New(directory.Config{}, log, logger)
	acting, err := f.provisioner.service(f.embedded.Dir, catalogue, log, logger, reg)
	if err != nil {
		return err
	}
	door, err := f.gateway.service(ctx, catalogue, known, log, logger, reg, storing.Ready, deciding.Ready)
	if err != nil {
		return err
	}
	site, err := f.site(ctx, door, catalogue, log, tables, logger, reg)
	if err != nil {
		return err
	}
	devices := &upFleet{cfg: f.fleet, log: log, logger: logger, reg: reg}
	devices.cfg.URL = "http://" + reachable(door.Addr())
	devices.cfg.Token, _, _ = strings.Cut(f.gateway.tokens, ",")
	return run.Together(ctx, logger,
		run.Part{Name: "live line", Run: func(ctx context.Context) error {
			if p.columns == 0 {
				return nil
			}
			return screen.flow(ctx, reg, f.analytics.readings(), storing.Lag)
		}},
		setUp(log),
		run.Part{Name: "analytics", Run: storing.Run, Ready: whenReady(storing.Ready), Settle: caughtUp(storing.Lag), Drain: 30 * time.Second},
		run.Part{Name: "registrar", Run: deciding.Run, Settle: caughtUp(deciding.Lag)},
		run.Part{Name: "provisioner", Run: acting.Run},
		showing(known),
		f.gateway.part(door),
		portalPart(site),
		announce(func() { p.welcome(f.addresses(door.Addr(), site.Addr()), f.fleet.Devices > 0, logger, screen) }),
		run.Part{Name: "fleet", Run: devices.Run},
	)
}

// portalFits finds what is wrong with the portal's flags; where the gateway is is not known yet.
func (f *upFlags) portalFits() error {
	cfg := f.portal.cfg
	cfg.Gateway = defaultGateway
	catalogue, err := f.products.load()
	if err != nil {
		return err
	}
	cfg.Products = catalogue
	if err := cfg.Validate(); err != nil {
		return usagef("%w", err)
	}
	return nil
}

// site returns the portal, which asks the gateway of this process.
func (f *upFlags) site(ctx context.Context, door *gateway.Gateway, c *products.Catalogue, log *eventlog.Log, tables *clickhouse.Client, logger *slog.Logger, reg prometheus.Registerer) (*portal.Portal, error) {
	f.portal.cfg.Gateway = "http://" + reachable(door.Addr())
	f.portal.cfg.Token, _, _ = strings.Cut(f.gateway.tokens, ",")
	readers := defaultReaders(f.analytics.cfg.Generation)
	for i := range readers {
		if readers[i].Group == "registrar" {
			readers[i].Group = f.registrar.cfg.Group
		}
	}
	return f.portal.service(ctx, c, log, tables, readers, logger, reg)
}

// addresses is where everything answers, for a client on this machine.
func (f *upFlags) addresses(listening, portal string) addresses {
	return addresses{
		portal: "http://" + reachable(portal),
		data:   f.embedded.Dir, gateway: "http://" + reachable(listening), kafka: strings.Join(f.log.cfg.Brokers, ","),
		registry: f.log.cfg.Registry, clickhouse: f.clickhouse.cfg.URL,
	}
}
