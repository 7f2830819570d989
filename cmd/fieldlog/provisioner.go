package main

//	topics clients, provisioning, effects -> services/provisioner -> a backend: simulated, kubernetes, helm, webhook
//	                                           `-> topics effects (intents, outcomes) and provisioning (facts)

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/internal/settings"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	kube "github.com/fieldlog/fieldlog/services/provisioner/cluster"
	"github.com/fieldlog/fieldlog/services/provisioner/simulated"
	"github.com/fieldlog/fieldlog/services/provisioner/webhook"
)

// provisionerFlags say where modules run.
type provisionerFlags struct {
	cfg       provisioner.Config
	site      simulated.Config
	cluster   kube.Config
	templates string
	charts    string
	webhook   webhook.Config
	secret    string
}

func (f *provisionerFlags) bind(flags *pflag.FlagSet) {
	c := &f.cfg
	flags.StringVar(&c.Default, "backend", "simulated", "where modules run whose product names no backend: "+strings.Join(backendNames(), ", "))
	flags.IntVar(&c.Workers, "provision-workers", 16, "clients that are worked on at a time")
	flags.IntVar(&c.Attempts, "provision-attempts", 8, "tries of a step before an order is abandoned")
	flags.DurationVar(&c.First, "provision-first-wait", time.Second, "wait after the first failed try, doubled each time")
	flags.DurationVar(&c.Last, "provision-last-wait", 5*time.Minute, "longest wait between two tries")
	flags.DurationVar(&c.Step, "provision-step", 10*time.Minute, "longest try of a step")
	flags.IntVar(&c.BreakAfter, "provision-break-after", 5, "failures in a row after which a backend is left alone")
	flags.DurationVar(&c.Break, "provision-break", 10*time.Second, "how long it is left alone")
	flags.StringVar(&f.site.Dir, "sites", "", "folder of the simulated backend's sites (default ./data/sites, or sites in --data)")
	flags.DurationVar(&f.site.Pace, "site-pace", 500*time.Millisecond, "how long a step of the simulated backend takes")
	flags.Uint32Var(&f.site.FailOneIn, "site-fail-one-in", 0, "let one order of so many fail on the simulated backend; 0 none")
	flags.StringVar(&f.cluster.Kubeconfig, "kubeconfig", "", "file that tells where the cluster is (default the rights of the pod it runs in)")
	flags.StringVar(&f.cluster.Context, "kube-context", "", "context of that file (default its current one)")
	flags.DurationVar(&f.cluster.Rollout, "kubernetes-rollout", 5*time.Minute, "longest wait for a workload to become ready")
	flags.StringVar(&f.templates, "templates", "", "folder of product templates for Kubernetes (default those of Product-A, Product-B and Product-C)")
	flags.StringVar(&f.charts, "charts", "", "folder or oci:// registry of the charts that the product catalogue names, for Helm")
	flags.StringVar(&f.webhook.URL, "webhook-url", "", "URL that the webhook backend asks")
	settings.Secret(flags, &f.secret, "webhook-secret", "secret that signs what the webhook backend asks")
}

// backends are all there are, each with what makes it.
var backends = []struct {
	name string
	make func(f *provisionerFlags, c *products.Catalogue, logger *slog.Logger) (backend.Backend, error)
}{
	{"simulated", func(f *provisionerFlags, _ *products.Catalogue, _ *slog.Logger) (backend.Backend, error) {
		return simulated.New(f.site), nil
	}},
	{"kubernetes", (*provisionerFlags).kubernetes},
	{"helm", (*provisionerFlags).helm},
	{"webhook", func(f *provisionerFlags, _ *products.Catalogue, _ *slog.Logger) (backend.Backend, error) {
		cfg := f.webhook
		cfg.Secret = []byte(f.secret)
		return webhook.New(cfg)
	}},
}

func backendNames() []string {
	names := make([]string, len(backends))
	for i := range backends {
		names[i] = backends[i].name
	}
	return names
}

// service returns the provisioner, which has not connected yet. Data is the data folder.
func (f *provisionerFlags) service(data string, c *products.Catalogue, log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (*provisioner.Service, error) {
	cfg := f.cfg
	cfg.Products = map[string]string{}
	if f.site.Dir == "" {
		f.site.Dir = filepath.Join(data, "sites")
	}
	names := map[string]bool{cfg.Default: true}
	for _, product := range c.All() {
		if product.Backend != "" {
			cfg.Products[product.Name], names[product.Backend] = product.Backend, true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b, err := f.backend(name, c, logger)
		if err != nil {
			return nil, usagef("%w", err)
		}
		cfg.Backends = append(cfg.Backends, b)
	}
	host, err := os.Hostname()
	if err == nil {
		cfg.Host = host // a machine that has no name needs none
	}
	service, err := provisioner.New(cfg, log, logger, reg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return service, nil
}

func (f *provisionerFlags) backend(name string, c *products.Catalogue, logger *slog.Logger) (backend.Backend, error) {
	for _, b := range backends {
		if b.name == name {
			return b.make(f, c, logger)
		}
	}
	return nil, fmt.Errorf("there is no backend %q; there are %s", name, strings.Join(backendNames(), ", "))
}

func (f *provisionerFlags) kubernetes(*products.Catalogue, *slog.Logger) (backend.Backend, error) {
	cfg := f.cluster
	if f.templates != "" {
		cfg.Templates = os.DirFS(f.templates)
	}
	return kube.NewKubernetes(cfg)
}

func (f *provisionerFlags) helm(c *products.Catalogue, logger *slog.Logger) (backend.Backend, error) {
	cfg := f.cluster
	cfg.Charts = map[string]string{}
	for _, product := range c.All() {
		if chart := product.Settings["chart"]; chart != "" {
			cfg.Charts[product.Name] = f.chart(chart)
		}
	}
	return kube.NewHelm(cfg, logger)
}

// chart says where a chart of the catalogue is.
func (f *provisionerFlags) chart(name string) string {
	switch {
	case f.charts == "", strings.HasPrefix(name, "oci://"):
		return name
	case strings.HasPrefix(f.charts, "oci://"):
		return strings.TrimSuffix(f.charts, "/") + "/" + name
	}
	return filepath.Join(f.charts, name)
}

func (p *program) provisionerCommand() *cobra.Command {
	var l logFlags
	var c productFlags
	var f provisionerFlags
	var listen string
	cmd := &cobra.Command{
		Use:   "provisioner",
		Short: "Run the service that makes what was ordered come true",
		Long: `Reads what the registrar decided, acts on a backend step by step, each effect once, and tells how it goes on the topic
provisioning. Any number of these share the clients. SIGINT or SIGTERM lets steps under way finish; one that is cut off is
looked for by the next owner before it is tried again.`,
		Example: `  fieldlog provisioner --backend kubernetes --kubeconfig ~/.kube/config
  fieldlog provisioner --backend helm --charts oci://registry.example.com/charts --products products.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.provisioner(cmd.Context(), &l, &c, &f, listen) },
	}
	l.bind(cmd.Flags(), defaultBrokers, defaultRegistry)
	c.bind(cmd.Flags())
	f.bind(cmd.Flags())
	cmd.Flags().StringVar(&listen, "metrics-listen", "127.0.0.1:8084", "address of /metrics, /healthz and /readyz")
	return cmd
}

func (p *program) provisioner(ctx context.Context, l *logFlags, c *productFlags, f *provisionerFlags, listen string) error {
	catalogue, err := c.load()
	if err != nil {
		return err
	}
	return p.alone(ctx, "provisioner", l, listen, func(log *eventlog.Log, logger *slog.Logger, reg prometheus.Registerer) (service, error) {
		return f.service("data", catalogue, log, logger, reg)
	})
}
