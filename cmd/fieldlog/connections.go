package main

//	--brokers, --registry  -> eventlog.Config -> the log
//	--clickhouse           -> an HTTP client of ClickHouse

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/obs"
	"github.com/fieldlog/fieldlog/internal/settings"
)

// logFlags say which log to use.
type logFlags struct {
	cfg         eventlog.Config
	replication int16
	tls         bool
	ca          string
	cert, key   string
}

// Where the embedded engines are when "fieldlog up" runs.
var defaultBrokers = []string{"127.0.0.1:9092"}

const (
	defaultRegistry   = "http://127.0.0.1:8081"
	defaultClickHouse = "http://127.0.0.1:8123"
	defaultGateway    = "http://127.0.0.1:8080"
)

// bind defines the flags. Brokers and registry are the defaults, empty where they are embedded.
func (l *logFlags) bind(flags *pflag.FlagSet, brokers []string, registry string) {
	instead := ""
	if registry == "" {
		instead = " instead of the embedded one"
	}
	flags.StringSliceVar(&l.cfg.Brokers, "brokers", brokers, "host:port of Kafka-protocol brokers to use"+instead)
	flags.StringVar(&l.cfg.Registry, "registry", registry, "URL of the Confluent-compatible schema registry to use"+instead)
	flags.StringVar(&l.cfg.Prefix, "prefix", "fieldlog.", "what the names of topics and groups begin with")
	flags.Int32Var(&l.cfg.Partitions, "partitions", 0, "partitions of telemetry when it is created, fixed from then on (default 12)")
	flags.Int16Var(&l.replication, "replication", 0, "replicas of topics that are created (default as the brokers say)")
	flags.DurationVar(&l.cfg.Confirm, "confirm", 10*time.Second, "wait for the brokers to confirm, at least 1s; after that nobody can tell")
	flags.StringVar(&l.cfg.User, "kafka-user", "", "user at the brokers (SASL SCRAM-SHA-512)")
	settings.Secret(flags, &l.cfg.Password, "kafka-password", "password at the brokers")
	flags.StringVar(&l.cfg.RegistryUser, "registry-user", "", "user at the registry")
	settings.Secret(flags, &l.cfg.RegistryPassword, "registry-password", "password at the registry")
	flags.BoolVar(&l.tls, "tls", false, "talk TLS to the brokers")
	flags.StringVar(&l.ca, "tls-ca", "", "file of certificates (PEM) to trust instead of the system's; implies --tls")
	flags.StringVar(&l.cert, "tls-cert", "", "file of our certificate (PEM), if the brokers ask for one; implies --tls")
	flags.StringVar(&l.key, "tls-key", "", "file of its key (PEM)")
}

// config returns the log's configuration.
func (l *logFlags) config() (eventlog.Config, error) {
	cfg := l.cfg
	cfg.Replication = l.replication
	if !l.tls && l.ca == "" && l.cert == "" {
		return cfg, nil
	}
	cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if l.ca != "" {
		pem, err := os.ReadFile(l.ca)
		if err != nil {
			return cfg, usagef("read --tls-ca: %w", err)
		}
		cfg.TLS.RootCAs = x509.NewCertPool()
		if !cfg.TLS.RootCAs.AppendCertsFromPEM(pem) {
			return cfg, usagef("read --tls-ca: %q holds no certificate in PEM", l.ca)
		}
	}
	if l.cert != "" {
		pair, err := tls.LoadX509KeyPair(l.cert, l.key)
		if err != nil {
			return cfg, usagef("read --tls-cert and --tls-key: %w", err)
		}
		cfg.TLS.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// new returns a log that has not connected yet.
func (l *logFlags) new(logger *slog.Logger, reg prometheus.Registerer) (*eventlog.Log, error) {
	cfg, err := l.config()
	if err != nil {
		return nil, err
	}
	log, err := eventlog.New(cfg, logger, reg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return log, nil
}

// reachTime bounds how long a command waits for what it needs.
const reachTime = 5 * time.Second

// open returns a log that answers.
func (l *logFlags) open(ctx context.Context, logger *slog.Logger) (*eventlog.Log, error) {
	log, err := l.new(logger, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	bound, cancel := context.WithTimeout(ctx, reachTime)
	defer cancel()
	if err := log.Ready(bound); err != nil {
		log.Close()
		if ctx.Err() != nil {
			return nil, errInterrupted
		}
		return nil, unavailable{fmt.Errorf("%w; is it running? See --brokers and --registry, or start \"fieldlog up\"", err)}
	}
	return log, nil
}

// loggingFlags say what is logged and how.
type loggingFlags struct{ level, format string }

func (l *loggingFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&l.level, "log-level", "", "least level logged: debug, info, warn, error (default info for services without a terminal, warn otherwise)")
	flags.StringVar(&l.format, "log-format", "", "json or text (default json for services without a terminal, text otherwise)")
}

// logger returns the logger of a command whose output is data: it writes to stderr.
func (p *program) logger() (*slog.Logger, error) {
	return p.newLogger(p.stderr, "warn", obs.Text)
}

// serviceLogger returns the logger of a service: JSON lines on stdout, or readable warnings on a terminal.
func (p *program) serviceLogger(out io.Writer) (*slog.Logger, error) {
	if p.columns > 0 {
		return p.newLogger(out, "warn", obs.Text)
	}
	return p.newLogger(out, "info", obs.JSON)
}

func (p *program) newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	if p.logging.level != "" {
		level = p.logging.level
	}
	if p.logging.format != "" {
		format = p.logging.format
	}
	logger, err := obs.NewLogger(w, level, format)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return logger, nil
}
