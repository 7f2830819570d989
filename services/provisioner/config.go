package provisioner

import (
	"errors"
	"fmt"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Config says where and how orders are provisioned. The zero value of an optional field means its default.
type Config struct {
	// Group shares the partitions among the processes that have the same. Default "provisioner".
	Group eventlog.Group
	// Backends are the places where modules can run. At least one.
	Backends []backend.Backend
	// Default is the backend of products that name none. Default: the first one.
	Default string
	// Products says which backend a product runs on, by name.
	Products map[string]string
	// Workers bounds the clients that are worked on at a time. Default 16.
	Workers int
	// Attempts bounds the tries of a step. Default 8.
	Attempts int
	// First is the wait after the first failed try; it doubles up to Last. Defaults 1 s, 5 min.
	First, Last time.Duration
	// Step bounds one try of a step. Default 10 min.
	Step time.Duration
	// BreakAfter failures in a row, a backend is left alone for Break. Defaults 5, 10 s.
	BreakAfter int
	Break      time.Duration
	// Drain bounds the wait for acts under way when a partition is given up. Default 10 s.
	Drain time.Duration
	// Host is this machine's name, for events.
	Host string
}

func (c Config) withDefaults() Config {
	set(&c.Group, "provisioner")
	set(&c.Workers, 16)
	set(&c.Attempts, 8)
	set(&c.First, time.Second)
	set(&c.Last, 5*time.Minute)
	set(&c.Step, 10*time.Minute)
	set(&c.BreakAfter, 5)
	set(&c.Break, 10*time.Second)
	set(&c.Drain, 10*time.Second)
	set(&c.Default, c.Backends[0].Name())
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names the flag to change.
func (c Config) Validate() error {
	names := map[string]bool{"": true}
	for _, b := range c.Backends {
		names[b.Name()] = true
	}
	switch {
	case len(c.Backends) == 0:
		return errors.New("there is no backend: set --backend")
	case !names[c.Default]:
		return fmt.Errorf("--backend %q is not one of those that are set up", c.Default)
	case c.Workers < 0 || c.Attempts < 0 || c.BreakAfter < 0:
		return errors.New("--provision-workers, --provision-attempts and --provision-break-after are positive")
	case min(c.First, c.Last, c.Step, c.Break, c.Drain) < 0:
		return errors.New("the waits of the provisioner are positive: see --provision-first-wait, --provision-last-wait, --provision-step, --provision-break")
	}
	for product, name := range c.Products {
		if !names[name] {
			return fmt.Errorf("product %q runs on backend %q, which is not set up: see --products and --backend", product, name)
		}
	}
	return nil
}
