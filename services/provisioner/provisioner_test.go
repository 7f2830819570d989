package provisioner_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// world is a backend in memory. It notes every act, and what each act changed. Acts are not idempotent here: what is done twice
// counts twice.
type world struct {
	mu      sync.Mutex
	made    map[string]bool // what stands: "namespace/step/version"
	effects map[string]int  // how often each came true, removals too: "namespace/remove/version"
	acts    []string        // every call of Do and Remove, in order
	looks   int             // calls of Done
	before  func(ctx context.Context, o backend.Order, step string) error
	after   func(ctx context.Context, o backend.Order, step string) error
}

func newWorld() *world { return &world{made: map[string]bool{}, effects: map[string]int{}} }

// steps are every plan's.
var steps = []string{"one", "two", "three"}

func (w *world) Name() string                { return "world" }
func (w *world) Plan(backend.Order) []string { return steps }

func (w *world) Do(ctx context.Context, o backend.Order, step string) error {
	if w.before != nil {
		if err := w.before(ctx, o, step); err != nil {
			return err
		}
	}
	w.mu.Lock()
	w.acts = append(w.acts, o.Namespace+"/"+step)
	w.made[name(o, step)] = true
	w.effects[name(o, step)]++
	w.mu.Unlock()
	if w.after != nil {
		return w.after(ctx, o, step)
	}
	return nil
}

func (w *world) Done(_ context.Context, o backend.Order, step string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	return w.made[name(o, step)], nil
}

func (w *world) Remove(_ context.Context, o backend.Order) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acts = append(w.acts, o.Namespace+"/remove")
	stood := len(w.made)
	maps.DeleteFunc(w.made, func(k string, _ bool) bool { return strings.HasPrefix(k, o.Namespace+"/") })
	if len(w.made) < stood {
		w.effects[name(o, "remove")]++
	}
	return nil
}

func name(o backend.Order, step string) string {
	return fmt.Sprintf("%s/%s/%d", o.Namespace, step, o.Version)
}

func (w *world) count(act string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.acts {
		if a == act {
			n++
		}
	}
	return n
}

// fixture is a log in memory with facts about orders.
type fixture struct {
	*testing.T
	log    *eventlog.Log
	world  *world
	reg    *prometheus.Registry // of the last that was run
	offset int64
}

// counted returns a counter of the provisioner that was run last.
func (f *fixture) counted(name string) float64 {
	f.Helper()
	families, err := f.reg.Gather()
	if err != nil {
		f.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == "fieldlog_provisioner_"+name {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	f.Fatalf("there is no metric %q", name)
	return 0
}

func start(t *testing.T) *fixture {
	t.Helper()
	cluster := eventlogtest.Start(t)
	return &fixture{T: t, log: cluster.Open(t, cluster.Config()), world: newWorld()}
}

// run runs a provisioner in a group of its own until the test ends or the returned function is called.
func (f *fixture) run(group string, change ...func(*provisioner.Config)) (stop func()) {
	f.Helper()
	cfg := provisioner.Config{
		Group: eventlog.Group(group), Backends: []backend.Backend{f.world}, First: 10 * time.Millisecond, Last: 50 * time.Millisecond,
		Attempts: 4, BreakAfter: 1000, Drain: 5 * time.Second,
	}
	for _, c := range change {
		c(&cfg)
	}
	f.reg = prometheus.NewRegistry()
	s, err := provisioner.New(cfg, f.log, slog.New(slog.DiscardHandler), f.reg)
	if err != nil {
		f.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			f.Errorf("run: %v", err)
		}
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	f.Cleanup(stop)
	return stop
}

const trace = "4bf92f3577b34da6a3ce929d0e0e4736"

func (f *fixture) append(event schemas.Event) {
	f.Helper()
	if _, err := f.log.Append(f.Context(), event); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) accept(client, id string, version int32) {
	f.Helper()
	f.acceptTraced(client, id, version, trace)
}

func (f *fixture) acceptTraced(client, id string, version int32, trace string) {
	f.Helper()
	f.offset++
	e := &schemas.OrderAccepted{OrderID: id, Client: client, Version: version, Terms: schemas.Terms{Namespace: id, Product: "Product-A"}}
	e.EventID, e.TraceID, e.Cause, e.CauseOffset = fmt.Sprint("fact-", f.offset), trace, fmt.Sprint("input-", f.offset), f.offset
	f.append(e)
}

func (f *fixture) cancelOrder(client, id string, version int32) {
	f.Helper()
	f.offset++
	e := &schemas.OrderCancelled{OrderID: id, Client: client, Version: version}
	e.EventID, e.TraceID, e.Cause, e.CauseOffset = fmt.Sprint("fact-", f.offset), trace, fmt.Sprint("input-", f.offset), f.offset
	f.append(e)
}

func (f *fixture) intervene(client, id string, version int32, action schemas.Intervention) {
	f.Helper()
	f.offset++
	e := &schemas.ProvisioningIntervened{OrderID: id, Client: client, Version: version, Action: action, By: "tester"}
	e.EventID = fmt.Sprint("intervention-", f.offset)
	f.append(e)
}

// facts returns what was told of an order, in order.
func (f *fixture) facts(id string) (told []schemas.ProvisioningProgressed) {
	f.Helper()
	decoder := eventlog.NewDecoder[schemas.ProvisioningProgressed](f.log, schemas.KindProvisioningProgressed)
	for r, err := range f.log.Read(f.Context(), eventlog.ReadOptions{Topic: eventlog.TopicProvisioning}) {
		if err != nil {
			f.Fatal(err)
		}
		var e schemas.ProvisioningProgressed
		if decoder.Decode(f.Context(), r, &e) == nil && e.OrderID == id { // interventions are left out
			told = append(told, e)
		}
	}
	return told
}

func states(told []schemas.ProvisioningProgressed) string {
	var all []string
	for _, e := range told {
		all = append(all, string(e.State))
	}
	return strings.Join(all, " ")
}

// wait waits until an order's latest fact is of a state.
func (f *fixture) wait(id string, version int32, state schemas.ProvisioningState) []schemas.ProvisioningProgressed {
	f.Helper()
	var told []schemas.ProvisioningProgressed
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		told = f.facts(id)
		if n := len(told); n > 0 && told[n-1].State == state && told[n-1].Version == version {
			return told
		}
	}
	f.Fatalf("order %s never became %s: %s", id, state, states(told))
	return nil
}

func TestAnOrderIsProvisionedStepByStep(t *testing.T) {
	f := start(t)
	f.accept("c1", "a", 1)
	f.run("p")
	told := f.wait("a", 1, schemas.ProvisioningSucceeded)
	if got, want := states(told), "requested started step step step succeeded"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, e := range told {
		if e.TraceID != trace || e.Backend != "world" || e.Namespace != "a" || e.Steps != 3 || e.EventID == "" {
			t.Errorf("fact %d is %+v", i, e)
		}
	}
	if told[3].Step != 2 || told[3].StepName != "two" {
		t.Errorf("the second step is told as %+v", told[3])
	}
	f.accept("c1", "a", 2) // news while it runs
	f.wait("a", 2, schemas.ProvisioningSucceeded)
	f.cancelOrder("c1", "a", 3)
	f.wait("a", 3, schemas.ProvisioningDeprovisioned)
	if len(f.world.made) != 0 || !slices.Contains(f.world.acts, "a/remove") {
		t.Errorf("after removal there is %v", f.world.made)
	}
}

// TestATraceKeepsItsSpelling holds that facts carry the trace id as its sender wrote it, as the facts before them do, and that a backend
// gets W3C's form of it, or none.
func TestATraceKeepsItsSpelling(t *testing.T) {
	f := start(t)
	var mu sync.Mutex
	got := map[string]string{}
	f.world.before = func(_ context.Context, o backend.Order, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		got[o.ID] = o.TraceID
		return nil
	}
	sent := map[string]string{"uuid": "4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", "own": "abc-7", "w3c": trace}
	for id, spelling := range sent {
		f.acceptTraced("c-"+id, id, 1, spelling)
	}
	f.run("p")
	for id, spelling := range sent {
		for _, e := range f.wait(id, 1, schemas.ProvisioningSucceeded) {
			if e.TraceID != spelling {
				t.Errorf("%s: %s is told with trace id %q, want %q", id, e.State, e.TraceID, spelling)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := map[string]string{"uuid": trace, "own": "", "w3c": trace}; !maps.Equal(got, want) {
		t.Errorf("backends got %v, want %v", got, want)
	}
}

func TestFailuresAreRetriedCountedAndBounded(t *testing.T) {
	f := start(t)
	var mu sync.Mutex
	left := map[string]int{"recovers": 2, "never": 1000}
	f.world.before = func(_ context.Context, o backend.Order, step string) error {
		mu.Lock()
		defer mu.Unlock()
		if step != "two" || left[o.Namespace] == 0 {
			return nil
		}
		if o.Namespace == "refused" {
			return backend.Refuse("no_license", "there is none left")
		}
		left[o.Namespace]--
		return errors.New("the site is out of reach")
	}
	left["refused"] = 1
	f.accept("c1", "recovers", 1)
	f.accept("c2", "never", 1)
	f.accept("c3", "refused", 1)
	f.run("p")
	if got, want := states(f.wait("recovers", 1, schemas.ProvisioningSucceeded)), "requested started step failed failed step step succeeded"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	told := f.wait("never", 1, schemas.ProvisioningAbandoned)
	if got, want := states(told), "requested started step failed failed failed failed abandoned"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for i, e := range told[3:7] {
		if int(e.Attempt) != i || (e.NextTry == 0) != (i == 3) || !strings.Contains(e.Detail, "out of reach") {
			t.Errorf("failure %d is told as attempt %d, next try %d, %q", i, e.Attempt, e.NextTry, e.Detail)
		}
	}
	refused := f.wait("refused", 1, schemas.ProvisioningAbandoned)
	if last := refused[len(refused)-1]; last.Reason != "no_license" {
		t.Errorf("it was refused because of %q", last.Reason)
	}
	mu.Lock()
	left["never"] = 1
	mu.Unlock()
	f.intervene("c2", "never", 1, schemas.InterventionRetry)
	if got, want := states(f.wait("never", 1, schemas.ProvisioningSucceeded)[8:]), "step failed step step succeeded"; got != want {
		t.Errorf("after the operator's retry: got %s, want %s", got, want)
	}
	ids := map[string]bool{}
	for _, e := range f.facts("never") {
		if ids[e.EventID] {
			t.Errorf("%s was told twice: who takes ids for repeats misses the second", e.EventID)
		}
		ids[e.EventID] = true
	}
}

// TestARetryMakesWhatIsGone lets what the first steps made disappear before the last one is tried: it fails until an operator retries.
func TestARetryMakesWhatIsGone(t *testing.T) {
	f := start(t)
	var gone atomic.Bool
	f.world.before = func(_ context.Context, o backend.Order, step string) error {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		if step == "three" && gone.CompareAndSwap(false, true) {
			delete(f.world.made, name(o, "one"))
		}
		if step != "one" && !f.world.made[name(o, "one")] {
			return fmt.Errorf("what the first step made is gone: %w", backend.ErrUnready)
		}
		return nil
	}
	f.accept("c1", "a", 1)
	f.run("p")
	f.wait("a", 1, schemas.ProvisioningAbandoned)
	looks := f.world.looks
	f.intervene("c1", "a", 1, schemas.InterventionRetry)
	told := f.wait("a", 1, schemas.ProvisioningSucceeded)
	if got, want := states(told), "requested started step step failed failed failed failed abandoned step step step succeeded"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if one, two, looked := f.world.count("a/one"), f.world.count("a/two"), f.world.looks-looks; one != 2 || two != 1 || looked != 3 {
		t.Errorf("step one was done %d times, step two %d times, after %d looks; want 2, 1 and 3", one, two, looked)
	}
}

func TestAFailingOrderHoldsUpItsClientAlone(t *testing.T) {
	f := start(t)
	f.world.before = func(_ context.Context, o backend.Order, _ string) error {
		if o.Namespace == "first" {
			return errors.New("not now")
		}
		return nil
	}
	f.accept("c1", "first", 1)
	f.accept("c1", "second", 1)
	f.accept("c2", "other", 1)
	f.run("p", func(c *provisioner.Config) { c.Attempts, c.Last = 1000, 20*time.Millisecond })
	f.wait("other", 1, schemas.ProvisioningSucceeded)
	f.wait("first", 1, schemas.ProvisioningFailed)
	if got := states(f.facts("second")); got != "requested" {
		t.Errorf("the second order of the client is told as %s, want that it waits", got)
	}
	f.intervene("c1", "first", 1, schemas.InterventionAbandon)
	f.wait("first", 1, schemas.ProvisioningAbandoned)
	f.wait("second", 1, schemas.ProvisioningSucceeded)
}

// TestTakenOverAtEveryStep stops a provisioner right before and right after each act, lets another one take over, and then
// lets the first go on. What it had begun it finishes, beside the other: that is why acts must be idempotent.
func TestTakenOverAtEveryStep(t *testing.T) {
	for _, step := range steps {
		for _, when := range []string{"before", "after"} {
			t.Run(when+" "+step, func(t *testing.T) {
				f := start(t)
				reached, goOn := make(chan struct{}), make(chan struct{})
				var hung atomic.Bool
				hang := func(_ context.Context, _ backend.Order, at string) error {
					if at == step && hung.CompareAndSwap(false, true) {
						close(reached)
						<-goOn
					}
					return nil
				}
				if when == "before" {
					f.world.before = hang
				} else {
					f.world.after = hang
				}
				f.accept("c1", "a", 1)
				stop := f.run("first")
				<-reached
				f.run("second")
				f.wait("a", 1, schemas.ProvisioningSucceeded)
				close(goOn)
				stop() // it has finished what it had begun
				for _, s := range steps {
					want := 1
					if s == step && when == "before" {
						want = 2
					}
					if got := f.world.effects["a/"+s+"/1"]; got != want {
						t.Errorf("step %s was done %d times, want %d", s, got, want)
					}
				}
				told := f.facts("a")
				if got, want := states(told), "requested started step step step succeeded"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		}
	}
}

// TestReplayHasNoEffects reads everything again with groups that know nothing.
func TestReplayHasNoEffects(t *testing.T) {
	f := start(t)
	for n := range 20 {
		f.accept(fmt.Sprint("c", n%7), fmt.Sprint("o", n), 1)
	}
	stop := f.run("p")
	for n := range 20 {
		f.wait(fmt.Sprint("o", n), 1, schemas.ProvisioningSucceeded)
	}
	stop()
	acts, looks := len(f.world.acts), f.world.looks
	if acts != 60 {
		t.Errorf("%d acts for 60 steps", acts)
	}
	for round := range 3 {
		f.accept("new", fmt.Sprint("new", round), 1) // when this one is done, the others were looked at too
		stop := f.run(fmt.Sprint("again", round))
		f.wait(fmt.Sprint("new", round), 1, schemas.ProvisioningSucceeded)
		stop()
	}
	if len(f.world.acts) != acts+9 || f.world.looks != looks {
		t.Errorf("replay: %d acts and %d looks more, want 9 and 0", len(f.world.acts)-acts, f.world.looks-looks)
	}
}

func TestABrokenBackendIsLeftAlone(t *testing.T) {
	f := start(t)
	const workers, rest, tries = 4, 300 * time.Millisecond, 3
	const first = 2 * workers // calls before the first rest
	var mu sync.Mutex
	var calls []time.Time
	enough := make(chan struct{})
	together := [2]chan struct{}{make(chan struct{}), make(chan struct{})} // each is closed when all workers are there
	f.world.before = func(ctx context.Context, _ backend.Order, _ string) error {
		mu.Lock()
		calls = append(calls, time.Now())
		n := len(calls)
		mu.Unlock()
		switch {
		case n <= first:
			gate := together[(n-1)/workers]
			if n%workers == 0 {
				close(gate)
			}
			select {
			case <-gate:
			case <-ctx.Done():
				t.Error("the workers do not come together")
			}
		case n == first+tries:
			close(enough)
		case n > first+tries:
			return nil
		}
		return errors.New("down")
	}
	for n := range 30 {
		f.accept(fmt.Sprint("c", n), fmt.Sprint("o", n), 1)
	}
	f.run("p", func(c *provisioner.Config) {
		c.BreakAfter, c.Break, c.Workers, c.Attempts = workers+1, rest, workers, 1000 // it breaks when the second four fail
	})
	<-enough
	mu.Lock()
	for n := first; n < first+tries; n++ { // one try after each rest
		if after := calls[n].Sub(calls[n-1]); after < rest {
			t.Errorf("a backend that is down was asked for the %dth time %s after the last, want a rest of %s", n+1, after, rest)
		}
	}
	mu.Unlock()
	for n := range 30 {
		f.wait(fmt.Sprint("o", n), 1, schemas.ProvisioningSucceeded)
	}
}

// TestWhoWasFencedGoesOn fences the owner of a partition while nobody else wants it, as brokers do to who is too slow, and while the
// one try that its broken backend is allowed is under way.
func TestWhoWasFencedGoesOn(t *testing.T) {
	f := start(t)
	under := make(chan struct{})
	var calls atomic.Int32
	f.world.before = func(ctx context.Context, _ backend.Order, _ string) error {
		switch calls.Add(1) {
		case 1:
			return errors.New("down")
		case 2:
			close(under)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	f.accept("c1", "a", 1)
	f.run("p", func(c *provisioner.Config) { c.BreakAfter, c.Break = 1, 10*time.Millisecond })
	<-under
	for p := range eventlog.OrderPartitions {
		other, err := f.log.Transactor(t.Context(), eventlog.TransactionID(fmt.Sprintf("provisioner-%d", p)))
		if err != nil {
			t.Fatal(err)
		}
		other.Close()
	}
	f.accept("c1", "b", 1) // it is told that this one was asked for: so the owner learns that it was fenced
	f.wait("a", 1, schemas.ProvisioningSucceeded)
	f.wait("b", 1, schemas.ProvisioningSucceeded)
}

// TestAPartitionFailsAlone refuses the transaction id of one partition, while an order in another one is provisioned.
func TestAPartitionFailsAlone(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	f := &fixture{T: t, log: cluster.Open(t, cluster.Config()), world: newWorld()}
	f.accept("c1", "held", 1)
	f.accept("c2", "free", 1)
	held := "fieldlog.provisioner-" + fmt.Sprint(f.log.PartitionOf([]byte("c1"), eventlog.OrderPartitions))
	if f.log.PartitionOf([]byte("c1"), eventlog.OrderPartitions) == f.log.PartitionOf([]byte("c2"), eventlog.OrderPartitions) {
		t.Fatal("both clients are in one partition: the test shows nothing")
	}
	refused, lifted := make(chan struct{}, 1), atomic.Bool{}
	cluster.Kafka.ControlKey(int16(kmsg.InitProducerID), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.Kafka.KeepControl()
		req := r.(*kmsg.InitProducerIDRequest)
		if req.TransactionalID == nil || *req.TransactionalID != held || lifted.Load() {
			return nil, nil, false
		}
		select {
		case refused <- struct{}{}:
		default:
		}
		resp := req.ResponseKind().(*kmsg.InitProducerIDResponse)
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return resp, nil, true
	})
	f.run("p")
	<-refused
	f.wait("free", 1, schemas.ProvisioningSucceeded)
	<-refused // it is tried again
	lifted.Store(true)
	f.wait("held", 1, schemas.ProvisioningSucceeded)
	if lost, anew := f.counted("partitions_lost_total"), f.counted("sessions_lost_total"); lost < 2 || anew != 0 {
		t.Errorf("got %v partitions begun anew and %v times all of them, want 2 at least and 0", lost, anew)
	}
}

// TestAnActThatHappenedAndFailedIsLookedFor lets an act come true and end with an error all the same, as when its answer is lost.
func TestAnActThatHappenedAndFailedIsLookedFor(t *testing.T) {
	f := start(t)
	var lost atomic.Bool
	f.world.after = func(_ context.Context, _ backend.Order, step string) error {
		if step == "two" && lost.CompareAndSwap(false, true) {
			return errors.New("the answer was lost")
		}
		return nil
	}
	f.accept("c1", "a", 1)
	f.run("p")
	if got, want := states(f.wait("a", 1, schemas.ProvisioningSucceeded)), "requested started step failed step step succeeded"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n := f.world.count("a/two"); n != 1 {
		t.Errorf("step two was done %d times", n)
	}
}
