package main

//	topics orders, provisioning -> eventlog.Process -> services/registrar -> topics clients, client-state
//	--products -> internal/products -------------------^

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/services/registrar"
)

// productFlags say what is sold.
type productFlags struct{ path string }

func (f *productFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&f.path, "products", "", "file of the product catalogue (JSON); without it Product-A, Product-B and Product-C are sold")
}

func (f *productFlags) load() (*products.Catalogue, error) {
	catalogue, err := products.Load(f.path)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return catalogue, nil
}

// registrarFlags say how orders are decided.
type registrarFlags struct{ cfg registrar.Config }

func (f *registrarFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar((*string)(&f.cfg.Group), "registrar-group", "registrar", "consumer group that shares the clients among registrars")
	flags.IntVar(&f.cfg.MaxRecords, "registrar-batch", 500, "orders that are decided in one transaction at most")
}

// service returns the registrar, which has not connected yet.
func (f *registrarFlags) service(c *products.Catalogue, log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (*registrar.Service, error) {
	cfg := f.cfg
	cfg.Products = c.Sold
	service, err := registrar.New(cfg, log, logger, reg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return service, nil
}

func (p *program) registrarCommand() *cobra.Command {
	var l logFlags
	var c productFlags
	var f registrarFlags
	var listen string
	cmd := &cobra.Command{
		Use:   "registrar",
		Short: "Run the service that decides orders and keeps the state of clients",
		Long: `Reads the topics orders and provisioning, and appends what follows to the topics clients and client-state, in transactions:
each input is decided once, by the one process that owns its partition. Any number of these share the partitions. SIGINT or
SIGTERM ends the transactions under way.`,
		Example: "  fieldlog registrar --products products.json --brokers kafka:9092 --registry http://registry:8081",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.registrar(cmd.Context(), &l, &c, &f, listen) },
	}
	l.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	c.bind(cmd.Flags())
	f.bind(cmd.Flags())
	cmd.Flags().StringVar(&listen, "metrics-listen", "127.0.0.1:8083", "address of /metrics, /healthz and /readyz")
	return cmd
}

func (p *program) registrar(ctx context.Context, l *logFlags, c *productFlags, f *registrarFlags, listen string) error {
	catalogue, err := c.load()
	if err != nil {
		return err
	}
	return p.alone(ctx, "registrar", l, listen, func(log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (service, error) {
		return f.service(catalogue, log, logger, reg)
	})
}
