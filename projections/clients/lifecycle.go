package clients

import (
	"fmt"
	"io"
	"slices"

	"github.com/fieldlog/fieldlog/schemas"
)

// Cue is what moves an order from one status to another: a fact of the registrar, a state of its provisioning, or an
// operator's intervention.
type Cue string

// The cues that are not states of provisioning.
const (
	CueAccepted  Cue = "order accepted"
	CueChanged   Cue = "order changed"
	CueCancelled Cue = "order cancelled"
	CueRetried   Cue = "operator retries"
)

// none is the status of an order that is not there yet.
const none schemas.OrderStatus = ""

// Transition moves an order on a cue.
type Transition struct {
	From schemas.OrderStatus // empty before the order is there
	On   Cue
	To   schemas.OrderStatus
}

// Transitions returns the life of an order. What is not in it leaves an order as it is.
func Transitions() []Transition {
	all := []Transition{{none, CueAccepted, schemas.OrderStatusAccepted}}
	for _, live := range []schemas.OrderStatus{
		schemas.OrderStatusAccepted, schemas.OrderStatusProvisioning, schemas.OrderStatusReady, schemas.OrderStatusFailing,
		schemas.OrderStatusAbandoned,
	} {
		all = append(all,
			Transition{live, CueChanged, schemas.OrderStatusAccepted},
			Transition{live, CueCancelled, schemas.OrderStatusCancelled},
			Transition{live, Cue(schemas.ProvisioningRequested), schemas.OrderStatusProvisioning},
			Transition{live, Cue(schemas.ProvisioningStarted), schemas.OrderStatusProvisioning},
			Transition{live, Cue(schemas.ProvisioningStep), schemas.OrderStatusProvisioning},
			Transition{live, Cue(schemas.ProvisioningSucceeded), schemas.OrderStatusReady},
			Transition{live, Cue(schemas.ProvisioningFailed), schemas.OrderStatusFailing},
			Transition{live, Cue(schemas.ProvisioningAbandoned), schemas.OrderStatusAbandoned},
		)
	}
	return append(all,
		Transition{schemas.OrderStatusFailing, CueRetried, schemas.OrderStatusAccepted},
		Transition{schemas.OrderStatusAbandoned, CueRetried, schemas.OrderStatusAccepted},
		Transition{schemas.OrderStatusCancelled, Cue(schemas.ProvisioningDeprovisioned), schemas.OrderStatusDeprovisioned},
	)
}

var table = func() map[Transition]schemas.OrderStatus {
	ways := map[Transition]schemas.OrderStatus{}
	for _, t := range Transitions() {
		ways[Transition{From: t.From, On: t.On}] = t.To
	}
	return ways
}()

// next returns the status that follows, and whether the table knows the way.
func next(from schemas.OrderStatus, on Cue) (schemas.OrderStatus, bool) {
	to, known := table[Transition{From: from, On: on}]
	if !known {
		return from, false
	}
	return to, true
}

// Live tells whether something runs or may run of an order in that status: it occupies its namespace.
func Live(s schemas.OrderStatus) bool { return s != none && s != schemas.OrderStatusDeprovisioned }

// WriteLifecycle writes docs/order-lifecycle.md.
func WriteLifecycle(w io.Writer) error {
	_, err := fmt.Fprint(w, "# The life of an order\n\nGenerated from `projections/clients` by `fieldlog schemas lifecycle`; `make verify` checks it.\n\n"+
		"An order that was placed is an input: it has no status before the registrar has decided. A rejected input leaves the order\n"+
		"as it is. A cue is a fact of the registrar, a state of provisioning of the order's present version, or what an operator\n"+
		"decided; one that leads nowhere from a status changes nothing. A namespace is free again when its order is deprovisioned.\n\n"+
		"```mermaid\nstateDiagram-v2\n")
	if err != nil {
		return err
	}
	for _, edge := range edges() {
		if _, err := fmt.Fprintf(w, "    %s --> %s: %s\n", edge.from, edge.to, edge.cues); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(w, "    %s --> [*]\n```\n", schemas.OrderStatusDeprovisioned)
	return err
}

// edge is an arrow of the diagram: all cues that lead from one status to another.
type edge struct{ from, to, cues string }

// edges returns the arrows in the order of the table, without those that lead back to where they begin.
func edges() []edge {
	var all []edge
	for _, t := range Transitions() {
		from := string(t.From)
		if t.From == none {
			from = "[*]"
		}
		if t.From == t.To {
			continue
		}
		i := slices.IndexFunc(all, func(e edge) bool { return e.from == from && e.to == string(t.To) })
		if i < 0 {
			all = append(all, edge{from, string(t.To), string(t.On)})
			continue
		}
		all[i].cues += ", " + string(t.On)
	}
	return all
}
