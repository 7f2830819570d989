package provisioner_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// TestAnImageThatDoesNotRunStopsNobodyElse: one order fails more often than breaks a backend, and is given up; the backend works, so
// another client's order is provisioned. A breaker that opened would be open for longer than the test lasts.
func TestAnImageThatDoesNotRunStopsNobodyElse(t *testing.T) {
	f := start(t)
	f.world.before = func(_ context.Context, o backend.Order, _ string) error {
		if o.Namespace == "bad" {
			return fmt.Errorf("deployment %q: %w", "module", backend.ErrUnready)
		}
		return nil
	}
	f.accept("c1", "bad", 1)
	f.run("p", func(c *provisioner.Config) { c.BreakAfter, c.Break, c.Attempts = 2, time.Hour, 4 })
	f.wait("bad", 1, schemas.ProvisioningAbandoned)
	f.accept("c2", "good", 1)
	f.wait("good", 1, schemas.ProvisioningSucceeded)
}
