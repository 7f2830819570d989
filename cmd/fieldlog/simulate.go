package main

//	fleet -> a gateway's HTTP;  receipts -> a file, durable before the next report of the same device

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/fieldlog/fieldlog/internal/fleet"
	"github.com/fieldlog/fieldlog/internal/settings"
)

type simulateFlags struct {
	fleet    fleet.Config
	rate     float64
	duration time.Duration
	receipts string
}

func (p *program) simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Simulate devices that report to a gateway",
		Long: `Simulates devices that report to a gateway over HTTP until --duration has passed or SIGINT, then prints as JSON what was
acknowledged and refused, and how long an acknowledgement took, measured from when the report was due. What a device
measures depends only on --seed, the device and the time. One device of several misbehaves on purpose.`,
		Example: "  fieldlog simulate --devices 500 --duration 30s\n  fieldlog simulate --devices 2000 --rate 5000 --connections 4 --receipts receipts.jsonl",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.simulate(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.fleet.URL, "url", defaultGateway, "URL of the gateway")
	settings.Secret(flags, &f.fleet.Token, "gateway-token", "access token of the gateway")
	flags.IntVar(&f.fleet.Devices, "devices", 100, "how many devices")
	flags.IntVar(&f.fleet.Clients, "clients", 0, "how many clients they belong to (default one for every 50 devices, from 3 to 20)")
	flags.DurationVar(&f.fleet.Every, "every", 2*time.Second, "time between two reports of a device")
	flags.Float64Var(&f.rate, "rate", 0, "reports a second of all devices together, instead of --every")
	flags.DurationVar(&f.duration, "duration", 0, "end after this long (default never)")
	flags.IntVar(&f.fleet.Connections, "connections", 2, "connections to the gateway")
	flags.Uint64Var(&f.fleet.Seed, "seed", 1, "another seed makes other devices")
	flags.DurationVar(&f.fleet.History, "history", 0, "also report the past of this length, one report a device a minute (default none)")
	flags.StringVar(&f.receipts, "receipts", "", "file to append a JSON line to for every acknowledged report, synced before the next request")
	return cmd
}

func (p *program) simulate(ctx context.Context, f simulateFlags) error {
	switch {
	case f.rate < 0:
		return usagef("--rate %g is negative", f.rate)
	case f.rate > 0:
		f.fleet.Every = time.Duration(float64(f.fleet.Devices) / f.rate * float64(time.Second))
	}
	logger, err := p.logger()
	if err != nil {
		return err
	}
	if f.receipts != "" {
		file, err := os.OpenFile(f.receipts, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return usagef("open --receipts: %w", err)
		}
		defer closing(file, logger)
		f.fleet.Acknowledged = (&receipts{file: file}).write
	}
	devices, err := fleet.New(f.fleet, logger, prometheus.NewRegistry())
	if err != nil {
		return usagef("%w", err)
	}
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	failed := devices.Run(ctx)
	counts, err := devices.Counts()
	if err != nil {
		return err
	}
	if err := json.NewEncoder(p.stdout).Encode(counts); err != nil {
		return err
	}
	if failed == nil && counts.Acknowledged+counts.Refused == 0 && counts.Unanswered+counts.Unsent > 0 {
		return unavailable{fmt.Errorf("the gateway at %q acknowledged nothing; is it running? See --url", f.fleet.URL)}
	}
	return failed
}

// receipts is a file of receipts.
type receipts struct {
	mu   sync.Mutex
	file *os.File
	text bytes.Buffer
}

// write appends receipts and returns once they are on disk.
func (r *receipts) write(all []fleet.Receipt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Reset()
	out := json.NewEncoder(&r.text)
	for _, receipt := range all {
		if err := out.Encode(receipt); err != nil {
			return err
		}
	}
	if _, err := r.file.Write(r.text.Bytes()); err != nil {
		return fmt.Errorf("write receipts: %w", err)
	}
	if err := r.file.Sync(); err != nil {
		return fmt.Errorf("write receipts: %w", err)
	}
	return nil
}
