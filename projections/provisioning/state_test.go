package provisioning_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/projections/provisioning"
	"github.com/fieldlog/fieldlog/schemas"
)

func accepted(client, id string, version int32, place int64) schemas.Event {
	e := &schemas.OrderAccepted{OrderID: id, Client: client, Version: version, Terms: schemas.Terms{Namespace: id, Product: "Product-A"}}
	e.Cause, e.CauseOffset, e.TraceID = fmt.Sprint("cause-", place), place, fmt.Sprint("trace-", place)
	return e
}

func cancelled(client, id string, version int32, place int64) schemas.Event {
	e := &schemas.OrderCancelled{OrderID: id, Client: client, Version: version}
	e.Cause, e.CauseOffset = fmt.Sprint("cause-", place), place
	return e
}

func progressed(client, id string, version int32, state schemas.ProvisioningState, step, attempt int32) schemas.Event {
	e := &schemas.ProvisioningProgressed{OrderID: id, Client: client, Version: version, State: state, Step: step, Steps: 3}
	e.Attempt = attempt
	if state == schemas.ProvisioningFailed {
		e.NextTry = schemas.Time(1000 * (int64(attempt) + 1))
	}
	return e
}

func intervened(client, id string, version int32, action schemas.Intervention) schemas.Event {
	e := &schemas.ProvisioningIntervened{OrderID: id, Client: client, Version: version, Action: action}
	e.EventID = "wish"
	return e
}

func effect(id string, state schemas.EffectState) schemas.Event {
	return &schemas.EffectRecorded{EffectID: id, State: state}
}

// describe writes a state down.
func describe(s *provisioning.State) string {
	var b strings.Builder
	for _, o := range s.All() {
		fmt.Fprintf(&b, "%s/%s v%d cancelled=%v trace=%s %+v\n", o.Client, o.ID, o.Version, o.Cancelled, o.TraceID, o.Progress())
	}
	for _, client := range s.Waiting() {
		fmt.Fprintf(&b, "%s waits:", client)
		for _, o := range s.Queue(client) {
			fmt.Fprintf(&b, " %s", o.ID)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestWhatIsToBeDone(t *testing.T) {
	f := func(want string, events ...schemas.Event) {
		t.Helper()
		s := provisioning.New()
		for _, e := range events {
			s.Apply(e)
		}
		got := ""
		for _, client := range s.Waiting() {
			for _, o := range s.Queue(client) {
				p := o.Progress()
				got += fmt.Sprintf("%s:v%d:%d/%d ", o.ID, o.Version, p.Done, p.Attempt)
			}
		}
		if strings.TrimSpace(got) != want {
			t.Errorf("got %q, want %q", strings.TrimSpace(got), want)
		}
	}
	a1, b1 := accepted("c", "a", 1, 10), accepted("c", "b", 1, 11)
	f("")
	f("a:v1:0/0 b:v1:0/0", b1, a1)
	f("a:v1:2/0", a1, progressed("c", "a", 1, schemas.ProvisioningStep, 2, 0))
	f("a:v1:1/2", a1, progressed("c", "a", 1, schemas.ProvisioningStep, 1, 0), progressed("c", "a", 1, schemas.ProvisioningFailed, 2, 1))
	f("", a1, progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0))
	f("a:v2:0/0", a1, progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0), accepted("c", "a", 2, 12))
	f("a:v2:0/0", a1, accepted("c", "a", 2, 12), progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0))
	f("b:v1:0/0 a:v2:0/0", a1, b1, accepted("c", "a", 2, 12))
	f("", a1, progressed("c", "a", 1, schemas.ProvisioningAbandoned, 1, 8))
	given := []schemas.Event{
		a1, progressed("c", "a", 1, schemas.ProvisioningStep, 2, 0), progressed("c", "a", 1, schemas.ProvisioningAbandoned, 2, 8), intervened("c", "a", 1, schemas.InterventionRetry),
	}
	f("a:v1:0/0", given...)
	f("a:v1:1/0", append(given, progressed("c", "a", 1, schemas.ProvisioningStep, 1, 0))...)
	f("a:v1:3/0", append(given, progressed("c", "a", 1, schemas.ProvisioningStep, 3, 0))...) // told before retries began with the first step
	f("a:v1:0/0", a1, progressed("c", "a", 1, schemas.ProvisioningStep, 2, 0), progressed("c", "a", 1, schemas.ProvisioningFailed, 2, 3), intervened("c", "a", 1, schemas.InterventionRetry))
	f("", a1, progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0), intervened("c", "a", 1, schemas.InterventionRetry))
	f("a:v2:0/0", a1, progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0), cancelled("c", "a", 2, 12))
	gone := []schemas.Event{a1, cancelled("c", "a", 2, 12), progressed("c", "a", 2, schemas.ProvisioningDeprovisioned, 1, 0)}
	f("", gone...)
	f("a:v1:0/0", append(gone, accepted("c", "a", 1, 300))...)
}

// TestAWishAboutAVersionThatIsNotThere holds that what an operator wants of a version which nobody has seen changes no other: not
// while there is none, and not what was told before or after it. When there is one, it counts.
func TestAWishAboutAVersionThatIsNotThere(t *testing.T) {
	ready := progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0)
	for _, action := range schemas.Interventions() {
		s := provisioning.New()
		for _, e := range []schemas.Event{accepted("c", "a", 1, 10), ready, intervened("c", "a", 3, action)} {
			s.Apply(e)
		}
		if p := s.Order("c", "a").Progress(); s.Open() != 0 || p.Ended != schemas.ProvisioningSucceeded {
			t.Errorf("%s: a finished order has %+v, %d open", action, p, s.Open())
		}
		s.Apply(accepted("c", "a", 2, 11))
		s.Apply(progressed("c", "a", 2, schemas.ProvisioningStep, 2, 0))
		if p := s.Order("c", "a").Progress(); s.Open() != 1 || p.Done != 2 || p.GiveUp || p.Retried != "" {
			t.Errorf("%s: the next version has %+v, %d open", action, p, s.Open())
		}
		s.Apply(accepted("c", "a", 3, 12))
		if p := s.Order("c", "a").Progress(); p.GiveUp != (action == schemas.InterventionAbandon) || (p.Retried != "") != (action == schemas.InterventionRetry) {
			t.Errorf("%s: the version it is about has %+v", action, p)
		}
	}
}

// TestAnIDThatIsUsedAgain folds the lives of two orders with one id: as they come, and one topic after the other.
func TestAnIDThatIsUsedAgain(t *testing.T) {
	clients := []schemas.Event{
		accepted("c", "a", 1, 10), cancelled("c", "a", 2, 12), accepted("c", "a", 1, 300), accepted("c", "a", 2, 301), cancelled("c", "a", 3, 302),
		accepted("c", "a", 1, 900),
	}
	progress := []schemas.Event{
		progressed("c", "a", 1, schemas.ProvisioningSucceeded, 3, 0), progressed("c", "a", 2, schemas.ProvisioningDeprovisioned, 1, 0),
		progressed("c", "a", 2, schemas.ProvisioningSucceeded, 3, 0), progressed("c", "a", 3, schemas.ProvisioningDeprovisioned, 1, 0),
		progressed("c", "a", 1, schemas.ProvisioningStep, 2, 0),
	}
	f := func(events ...schemas.Event) {
		t.Helper()
		s := provisioning.New()
		for _, e := range events {
			s.Apply(e)
		}
		o := s.Order("c", "a")
		if o == nil || o.Version != 1 || o.Born != 900 || o.Cancelled || o.Progress().Done != 2 || s.Open() != 1 {
			t.Errorf("got %+v, %d open", o, s.Open())
		}
	}
	f(slices.Concat(clients, progress)...)
	f(slices.Concat(clients, clients, progress)...)
	f(slices.Concat(clients[:2], progress[:2], clients[2:5], progress[2:4], clients[5:], progress[4:])...)
}

func TestEffectsThatMayHaveHappened(t *testing.T) {
	s := provisioning.New()
	s.Apply(effect("x", schemas.EffectIntended))
	s.Apply(effect("y", schemas.EffectIntended))
	s.Apply(effect("x", schemas.EffectDone))
	if s.Begun("x") || !s.Begun("y") || s.Begun("z") {
		t.Errorf("begun: x %v, y %v, z %v; want y alone", s.Begun("x"), s.Begun("y"), s.Begun("z"))
	}
	s.Apply(effect("y", schemas.EffectFailed))
	if s.Begun("y") {
		t.Error("y failed and still counts as begun")
	}
}

// history returns a random history of the three topics, each in its own order.
func history(random *rand.Rand) (clients, progress []schemas.Event) {
	states := schemas.ProvisioningStates()
	versions := map[string]int32{}
	for place := range int64(30) {
		id := fmt.Sprint("o", random.IntN(4))
		versions[id]++
		if versions[id] > 1 && random.IntN(5) == 0 {
			clients = append(clients, cancelled("c"+id, id, versions[id], place))
			continue
		}
		clients = append(clients, accepted("c"+id, id, versions[id], place))
	}
	for range 60 {
		id := fmt.Sprint("o", random.IntN(4))
		version := 1 + random.Int32N(max(versions[id], 1))
		if random.IntN(6) == 0 {
			version += random.Int32N(3) // one that there is later, or never
			progress = append(progress, intervened("c"+id, id, version, schemas.Interventions()[random.IntN(2)]))
			continue
		}
		state := states[random.IntN(len(states)-1)] // an end that forgets the order is tested above
		progress = append(progress, progressed("c"+id, id, version, state, random.Int32N(3), random.Int32N(4)))
	}
	return clients, progress
}

// TestTheOrderBetweenTopicsDoesNotMatter interleaves the topics at random, as they come while it runs, and reads the facts again,
// as they come after a restart.
func TestTheOrderBetweenTopicsDoesNotMatter(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		clients, progress := history(random)
		restarted := provisioning.New()
		for _, events := range [][]schemas.Event{clients, clients, progress} {
			for _, e := range events {
				restarted.Apply(e)
			}
		}
		live := provisioning.New()
		for c, p := 0, 0; c < len(clients) || p < len(progress); {
			if p == len(progress) || c < len(clients) && random.IntN(2) == 0 {
				live.Apply(clients[c])
				c++
				continue
			}
			live.Apply(progress[p])
			p++
		}
		if got, want := describe(restarted), describe(live); got != want {
			t.Fatalf("seed %d: after a restart it is\n%s\nand was\n%s", seed, got, want)
		}
	}
}
