package provisioner_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// named is a world of another name.
type named struct {
	*world
	name string
}

func (n named) Name() string { return n.name }

// TestEachBackendHasItsBreaker breaks one of two backends for longer than the test lasts, and provisions on the other one.
func TestEachBackendHasItsBreaker(t *testing.T) {
	f := start(t)
	down := newWorld()
	down.before = func(context.Context, backend.Order, string) error { return errors.New("down") }
	f.accept("c1", "stands", 1)
	f.run("p", func(c *provisioner.Config) {
		c.Backends = []backend.Backend{named{down, "down"}, f.world}
		c.Products = map[string]string{"Product-B": f.world.Name()}
		c.BreakAfter, c.Break = 2, time.Hour
	})
	for states(f.facts("stands")) != "requested started failed failed" { // the breaker is told before the fact is
		f.wait("stands", 1, schemas.ProvisioningFailed)
	}
	e := &schemas.OrderAccepted{OrderID: "runs", Client: "c2", Version: 1, Terms: schemas.Terms{Namespace: "runs", Product: "Product-B"}}
	e.EventID, e.Cause, e.CauseOffset = "fact-runs", "input-runs", 1000
	f.append(e)
	f.wait("runs", 1, schemas.ProvisioningSucceeded)
	if got := states(f.facts("stands")); got != "requested started failed failed" {
		t.Errorf("the backend that is down was asked again: %s", got)
	}
}
