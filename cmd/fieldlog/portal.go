package main

//	people -> HTTP on --portal-listen -> services/portal -> services/gateway (orders, clients, events) over HTTP
//	                                          |-> eventlog: lag, throughput, interventions, stories of traces
//	                                          |-> services/deadletters: redrive, discard
//	                                          `-> ClickHouse: readings

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/obs"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/internal/run"
	"github.com/fieldlog/fieldlog/internal/settings"
	"github.com/fieldlog/fieldlog/internal/story"
	"github.com/fieldlog/fieldlog/services/analytics"
	"github.com/fieldlog/fieldlog/services/portal"
)

// portalFlags say how people reach the portal.
type portalFlags struct {
	cfg        portal.Config
	generation int // whose lag is shown
}

func (f *portalFlags) bind(flags *pflag.FlagSet) {
	c := &f.cfg
	flags.StringVar(&c.Listen, "portal-listen", "127.0.0.1:8000", "address of the portal; off loopback --portal-users is required")
	flags.StringVar(&c.Users, "portal-users", "", `file of those who may log in, a line each: name:viewer:HASH or name:operator:HASH, as "fieldlog portal hash" makes it`)
	flags.DurationVar(&c.SessionIdle, "portal-session-idle", 30*time.Minute, "how long a session lives that is not used")
	flags.DurationVar(&c.SessionAge, "portal-session-age", 12*time.Hour, "how long a session lives at all")
}

// service returns the portal, which listens already but answers only when it runs.
func (f *portalFlags) service(ctx context.Context, c *products.Catalogue, log *eventlog.Log, tables *clickhouse.Client, readers []portal.Reader, logger *slog.Logger, reg prometheus.Registerer) (*portal.Portal, error) {
	cfg := f.cfg
	cfg.Products = c
	sources := portal.Sources{
		Log: log, Tables: tables, Traces: story.New(log, tables), Letters: &portalDesk{log: log}, Readers: readers,
	}
	site, err := portal.New(cfg, sources, logger, reg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return site, site.Listen(ctx)
}

func portalPart(site *portal.Portal) run.Part { return run.Part{Name: "portal", Run: site.Run} }

func (p *program) portalCommand() *cobra.Command {
	var l logFlags
	var c clickhouseFlags
	var s productFlags
	var f portalFlags
	var listen string
	cmd := &cobra.Command{
		Use:   "portal",
		Short: "Run the web site: order modules, watch them become ready, see why not",
		Long: `Serves the web site: orders, clients, events, dead letters, operations and traces. It keeps nothing: it asks the gateway, the
log and ClickHouse. Sessions live in memory, so that people stay with one process. Put a proxy that speaks TLS before it
(X-Forwarded-Proto: https makes cookies secure, and, from a private network, the last address of X-Forwarded-For the one whose logins
are counted), and let nobody else reach it. SIGINT or SIGTERM lets requests finish.`,
		Example: "  fieldlog portal --portal-listen :8000 --portal-users users --gateway http://gateway:8080 --brokers kafka:9092 --registry http://registry:8081\n" +
			"  echo \"ada:operator:$(fieldlog portal hash)\" >> users",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.portal(cmd.Context(), &l, &c, &s, &f, listen) },
	}
	flags := cmd.Flags()
	l.bind(flags, defaultBrokers, defaultRegistry)
	c.bind(flags, defaultClickHouse)
	s.bind(flags)
	f.bind(flags)
	flags.StringVar(&f.cfg.Gateway, "gateway", defaultGateway, "URL of the gateway")
	settings.Secret(flags, &f.cfg.Token, "gateway-token", "access token of the gateway")
	flags.IntVar(&f.generation, "generation", 1, "set of tables whose lag is shown")
	flags.StringVar(&listen, "metrics-listen", "127.0.0.1:8085", "address of /metrics, /healthz and /readyz")
	cmd.AddCommand(p.portalHashCommand())
	return cmd
}

func (p *program) portal(ctx context.Context, l *logFlags, c *clickhouseFlags, s *productFlags, f *portalFlags, listen string) error {
	logger, err := p.serviceLogger(p.stdout)
	if err != nil {
		return err
	}
	catalogue, err := s.load()
	if err != nil {
		return err
	}
	reg := obs.NewRegistry()
	log, err := l.new(logger, reg)
	if err != nil {
		return err
	}
	defer log.Close()
	tables, err := c.new()
	if err != nil {
		return err
	}
	defer closing(tables, logger)
	site, err := f.service(ctx, catalogue, log, tables, defaultReaders(f.generation), logger, reg)
	if err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w; change --metrics-listen", err)
	}
	return run.Together(ctx, logger,
		run.Part{Name: "metrics", Run: func(ctx context.Context) error {
			return obs.Serve(ctx, listener, obs.Mux(reg, obs.Check{Name: "log", Ready: log.Ready}), logger)
		}},
		setUp(log),
		portalPart(site),
		announce(func() { logger.Info("ready", "portal", "http://"+reachable(site.Addr())) }),
	)
}

// defaultReaders are the groups whose lag is shown, under the names that they have unless told otherwise; of analytics those of a
// generation. The provisioner has none: how far it is, its facts tell.
func defaultReaders(generation int) []portal.Reader {
	storing := analytics.GroupOf(analytics.Config{Generation: generation})
	return []portal.Reader{
		{Group: storing, Topic: eventlog.TopicTelemetry},
		{Group: storing + "-clients", Topic: eventlog.TopicClients},
		{Group: storing + "-provisioning", Topic: eventlog.TopicProvisioning},
		{Group: "registrar", Topic: eventlog.TopicOrders},
		{Group: "registrar", Topic: eventlog.TopicProvisioning},
	}
}

func (p *program) portalHashCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "hash",
		Short:   "Make the hash of a password, for --portal-users",
		Long:    "Reads a password, from the terminal or the first line of stdin, and prints its argon2id hash as a PHC string.",
		Example: "  echo \"ada:operator:$(fieldlog portal hash)\" >> users",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			password, err := p.password()
			if err != nil {
				return err
			}
			if len(password) < 8 {
				return usagef("a password has at least 8 bytes")
			}
			_, err = fmt.Fprintln(p.stdout, portal.NewHash(password))
			return err
		},
	}
}

// password reads one without showing it, or a line where stdin is no terminal.
func (p *program) password() (string, error) {
	if file, is := p.stdin.(*os.File); is && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(p.stderr, "Password: ")
		text, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(p.stderr)
		return string(text), err
	}
	line, err := bufio.NewReader(io.LimitReader(p.stdin, 4096)).ReadString('\n')
	if err != nil && line == "" {
		return "", usagef("stdin holds no password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
