package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/fieldlog/fieldlog/internal/embedded"
)

// gateway measures the gateway's CPU a reading beside a web server that appends the body as it is.
func (b *bench) gateway(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "fieldlog-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	engines := embedded.New(embedded.Config{Dir: dir, KafkaAddr: "127.0.0.1:0", RegistryAddr: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err := engines.Start(ctx); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, s := range []shape{{1, 1}, {1, 10}, {1, 100}, {10, 100}} {
		ceiling, err := b.cpu(ctx, s, self, "-null", "127.0.0.1:0", "-broker", engines.Brokers()[0])
		if err != nil {
			return err
		}
		measured, err := b.cpu(ctx, s, b.binary, "gateway", "--listen", "127.0.0.1:0", "--brokers", engines.Brokers()[0], "--registry", engines.RegistryURL())
		if err != nil {
			return err
		}
		b.add("gateway", s.String(), measured, ceiling, "net/http and franz-go, the body appended as it is")
	}
	return engines.Close()
}

// cpu runs a server under load and returns its CPU time in nanoseconds a reading.
func (b *bench) cpu(ctx context.Context, s shape, program string, args ...string) (float64, error) {
	c, err := start(ctx, program, args...)
	if err != nil {
		return 0, err
	}
	readings, err := load(ctx, c.ready["gateway"]+"/v1/telemetry", s, b.load, 0)
	spent, stopped := c.stop()
	if err := errors.Join(err, stopped); err != nil {
		return 0, fmt.Errorf("load %q with %s: %w", program, s, err)
	}
	return float64(spent.Nanoseconds()) / float64(readings), nil
}
