//go:build kubernetes

package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster"
)

// elsewhere is a backend that does nothing, on no cluster.
type elsewhere struct{}

func (elsewhere) Name() string                                              { return "elsewhere" }
func (elsewhere) Plan(backend.Order) []string                               { return []string{"nothing"} }
func (elsewhere) Do(context.Context, backend.Order, string) error           { return nil }
func (elsewhere) Done(context.Context, backend.Order, string) (bool, error) { return true, nil }
func (elsewhere) Remove(context.Context, backend.Order) error               { return nil }

// history is a log of facts about orders, and of how their provisioning goes.
type history struct {
	*testing.T
	log   *eventlog.Log
	place *place
	facts int64
}

func (h *history) append(event schemas.Event, cause *schemas.Decided) {
	h.Helper()
	h.facts++
	cause.Cause, cause.CauseOffset = fmt.Sprint("input-", h.facts), h.facts
	event.Head().EventID, event.Head().TraceID = fmt.Sprint("fact-", h.facts), "4bf92f3577b34da6a3ce929d0e0e4736"
	if _, err := h.log.Append(h.Context(), event); err != nil {
		h.Fatal(err)
	}
}

func (h *history) accept(client, id, product string) {
	h.Helper()
	e := &schemas.OrderAccepted{OrderID: id, Client: client, Version: 1}
	e.Terms = schemas.Terms{Namespace: id, Product: product, Environment: "Development", Archtype: "SaaS", Hardware: "Shared"}
	h.append(e, &e.Decided)
}

func (h *history) cancel(client, id string) {
	h.Helper()
	e := &schemas.OrderCancelled{OrderID: id, Client: client, Version: 2}
	h.append(e, &e.Decided)
}

// provision runs a new provisioner with the rights of its role until an order is as wanted.
func (h *history) provision(group eventlog.Group, id string, state schemas.ProvisioningState) {
	h.Helper()
	cfg := provisioner.Config{
		Group:    group,
		Backends: []backend.Backend{h.place.kubernetes(h.T, cluster.Config{}), h.place.helm(h.T, cluster.Config{}), elsewhere{}},
		Products: map[string]string{"Product-B": "helm", "Product-C": "elsewhere"},
	}
	s, err := provisioner.New(cfg, h.log, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		h.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(h.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	decoder := eventlog.NewDecoder[schemas.ProvisioningProgressed](h.log, schemas.KindProvisioningProgressed)
	for r, err := range h.log.Read(ctx, eventlog.ReadOptions{Topic: eventlog.TopicProvisioning, Follow: true}) {
		if err != nil {
			h.Fatal(err)
		}
		var e schemas.ProvisioningProgressed
		if err := decoder.Decode(ctx, r, &e); err != nil {
			h.Fatal(err)
		}
		if e.OrderID == id && e.State == state {
			break
		}
	}
	if ctx.Err() != nil {
		h.Fatalf("order %s never became %s", id, state)
	}
	cancel()
	if err := <-done; err != nil {
		h.Fatal(err)
	}
}

// replayed provisions orders, cancels one, and reads the whole history again three times: by the group that provisioned them, and by two
// that know nothing. The API server is asked for nothing, not even for a look.
func replayed(t *testing.T, p *place) {
	cluster := eventlogtest.Start(t)
	h := &history{T: t, log: cluster.Open(t, cluster.Config()), place: p}
	const client = "cliente30" // whose orders are worked on one after the other: the last one tells that all were looked at
	h.accept(client, "replay-a", "Product-A")
	h.accept(client, "replay-b", "Product-B")
	h.accept(client, "replay-c", "Product-A")
	h.provision("replay", "replay-c", schemas.ProvisioningSucceeded)
	h.cancel(client, "replay-c")
	h.provision("replay", "replay-c", schemas.ProvisioningDeprovisioned)
	asked, state := p.Requests(t), p.state(t)
	if asked["patch"] == 0 || asked["delete"] == 0 {
		t.Fatalf("the API server was asked %v: nothing was provisioned", asked)
	}
	before := [2]string{state("replay-a"), state("replay-b")}
	for n, group := range []eventlog.Group{"replay", "knows-nothing", "nor-does-this"} {
		marker := fmt.Sprint("replay-marker-", n)
		h.accept(client, marker, "Product-C")
		h.provision(group, marker, schemas.ProvisioningSucceeded)
		if again := p.Requests(t); !maps.Equal(again, asked) {
			t.Errorf("group %s: the API server was asked %v before and %v after", group, asked, again)
		}
	}
	if after := [2]string{state("replay-a"), state("replay-b")}; after != before {
		t.Errorf("the cluster had\n%v\nand has\n%v", before, after)
	}
}
