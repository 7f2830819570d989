package provisioner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// TestMain lets the test binary be a provisioner that can be killed.
func TestMain(m *testing.M) {
	if world := os.Getenv("PROVISIONER_TEST_WORLD"); world != "" {
		if err := provision(world); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// provision provisions until standard input ends, which it does with the test's process.
func provision(world string) error {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	log, err := eventlog.New(eventlog.Config{
		Brokers: []string{os.Getenv("PROVISIONER_TEST_BROKER")}, Registry: os.Getenv("PROVISIONER_TEST_REGISTRY"),
	}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Setup(ctx); err != nil {
		return err
	}
	s, err := provisioner.New(provisioner.Config{
		Group: eventlog.Group(os.Getenv("PROVISIONER_TEST_GROUP")), Backends: []backend.Backend{far(world)},
	}, log, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return err
	}
	return s.Run(ctx)
}

// far is a backend whose world is in another process, at a URL.
type far string

// call is what is asked of the world.
type call struct {
	What  string
	Step  string
	Order backend.Order
}

func (far) Name() string                { return "world" }
func (far) Plan(backend.Order) []string { return steps }

func (f far) Do(ctx context.Context, o backend.Order, step string) error {
	_, err := f.ask(ctx, call{"do", step, o})
	return err
}

func (f far) Done(ctx context.Context, o backend.Order, step string) (bool, error) {
	return f.ask(ctx, call{"look", step, o})
}

func (f far) Remove(ctx context.Context, o backend.Order) error {
	_, err := f.ask(ctx, call{"remove", "", o})
	return err
}

func (f far) ask(ctx context.Context, c call) (yes bool, err error) {
	body, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, string(f), bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	return yes, json.NewDecoder(resp.Body).Decode(&yes)
}

// boundary is right before or right after something that a provisioner does: an act, or the commit of a transaction, which has the
// outcome of an act, the intent of the next, or both.
type boundary struct {
	what  string
	after bool
}

// walk is a log and a world in this process, and a provisioner in another one, which is killed at a boundary.
type walk struct {
	*fixture
	cluster *eventlogtest.Fake
	url     string

	mu      sync.Mutex
	child   *exec.Cmd
	started int
	fate    boundary // where the provisioner is killed, when it gets there the nth time
	nth     int
	passed  map[boundary]int
	killed  bool
}

func startWalk(t *testing.T) *walk {
	t.Helper()
	cluster := eventlogtest.StartFake(t)
	w := &walk{fixture: &fixture{T: t, log: cluster.Open(t, cluster.Config()), world: newWorld()}, cluster: cluster}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	cluster.Kafka.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.Kafka.KeepControl()
		if !req.(*kmsg.EndTxnRequest).Commit {
			return nil, nil, false
		}
		if w.reached(boundary{"commit", false}) {
			return nil, nil, true // it never arrived
		}
		w.reached(boundary{"commit", true}) // it is committed when this returns, and nobody was told
		return nil, nil, false
	})
	w.start()
	t.Cleanup(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.kill()
	})
	return w
}

// start starts a provisioner in a group of its own: so it need not wait until the group knows that the one before is dead.
func (w *walk) start() {
	w.started++
	w.child = exec.Command(os.Args[0])
	w.child.Env = append(os.Environ(), "PROVISIONER_TEST_WORLD="+w.url, fmt.Sprint("PROVISIONER_TEST_GROUP=p", w.started),
		"PROVISIONER_TEST_BROKER="+w.cluster.Config().Brokers[0], "PROVISIONER_TEST_REGISTRY="+w.cluster.Config().Registry)
	w.child.Stderr = os.Stderr
	_, err := w.child.StdinPipe() // it ends when this process does
	if err == nil {
		err = w.child.Start()
	}
	if err != nil {
		w.Errorf("start a provisioner: %v", err)
	}
}

func (w *walk) kill() {
	_ = w.child.Process.Kill()
	_ = w.child.Wait()
}

// reached kills the provisioner where that is its fate, starts the next one, and tells whether it did.
func (w *walk) reached(at boundary) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.passed[at]++
	if w.killed || at != w.fate || w.passed[at] != w.nth {
		return false
	}
	w.killed = true
	w.kill()
	w.start()
	return true
}

// ServeHTTP is the world.
func (w *walk) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		w.Error(err)
	}
	var yes bool
	var err error
	switch {
	case c.What == "look":
		yes, err = w.world.Done(r.Context(), c.Order, c.Step)
	case w.reached(boundary{"act", false}):
		return
	case c.What == "do":
		err = w.world.Do(r.Context(), c.Order, c.Step)
	default:
		err = w.world.Remove(r.Context(), c.Order)
	}
	if err != nil {
		w.Error(err)
	}
	if c.What != "look" && w.reached(boundary{"act", true}) {
		return
	}
	_ = json.NewEncoder(rw).Encode(yes) // who was killed does not read it
}

// live provisions an order, changes it and removes it, while the provisioner is killed when it gets to a boundary the nth time. It
// returns false when it never got there so often.
func (w *walk) live(fate boundary, nth int) bool {
	w.Helper()
	w.mu.Lock()
	w.fate, w.nth, w.passed, w.killed = fate, nth, map[boundary]int{}, false
	w.mu.Unlock()
	w.world.mu.Lock()
	w.world.acts, w.world.effects, w.world.looks = nil, map[string]int{}, 0
	w.world.mu.Unlock()

	id := fmt.Sprintf("%s-%v-%d", fate.what, fate.after, nth)
	w.accept("c1", id, 1)
	w.wait(id, 1, schemas.ProvisioningSucceeded)
	w.accept("c1", id, 2)
	w.wait(id, 2, schemas.ProvisioningSucceeded)
	w.cancelOrder("c1", id, 3)
	w.wait(id, 3, schemas.ProvisioningDeprovisioned)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.once(id)
	return w.killed
}

// once holds that everything came true once, was told once and stands in the ledger once, and that an act which may have happened, and
// no other, was looked for.
func (w *walk) once(id string) {
	w.Helper()
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	effects := 0
	for version, acts := range map[int][]string{1: steps, 2: steps, 3: {"remove"}} {
		for _, act := range acts {
			effects++
			if n := w.world.effects[fmt.Sprintf("%s/%s/%d", id, act, version)]; n != 1 {
				w.Errorf("%s: %s of version %d came true %d times", id, act, version, n)
			}
		}
	}
	if len(w.world.effects) != effects || len(w.world.made) != 0 {
		w.Errorf("%s: got effects %v, and %v is left", id, w.world.effects, w.world.made)
	}
	if w.world.looks > 1 || w.world.looks > 0 && !w.killed {
		w.Errorf("%s: it was looked %d times", id, w.world.looks)
	}
	made := "requested started step step step succeeded "
	if got, want := states(w.facts(id)), made+made+"requested started deprovisioned"; got != want {
		w.Errorf("%s: told as %s, want %s", id, got, want)
	}
	done := w.outcomes(id)
	for effect, n := range done {
		if n != 1 {
			w.Errorf("%s: effect %s has %d outcomes", id, effect, n)
		}
	}
	if len(done) != effects {
		w.Errorf("%s: the ledger has %d effects, want %d", id, len(done), effects)
	}
}

// outcomes counts what the ledger says of an order's effects.
func (f *fixture) outcomes(id string) map[string]int {
	f.Helper()
	counts := map[string]int{}
	decoder := eventlog.NewDecoder[schemas.EffectRecorded](f.log, schemas.KindEffectRecorded)
	for r, err := range f.log.Read(f.Context(), eventlog.ReadOptions{Topic: eventlog.TopicEffects}) {
		var e schemas.EffectRecorded
		if err == nil {
			err = decoder.Decode(f.Context(), r, &e)
		}
		if err != nil {
			f.Fatal(err)
		}
		if e.OrderID == id && e.State != schemas.EffectIntended {
			counts[e.EffectID]++
		}
	}
	return counts
}

// TestKilledAtEveryBoundary kills a provisioner, by SIGKILL, right before and right after every act and every commit in the life of an
// order: its provisioning, a change and its removal.
func TestKilledAtEveryBoundary(t *testing.T) {
	w := startWalk(t)
	for fate, least := range map[boundary]int{{"act", false}: 7, {"act", true}: 7, {"commit", false}: 10, {"commit", true}: 10} {
		began, nth := time.Now(), 1
		for w.live(fate, nth) {
			nth++
		}
		if nth-1 < least {
			t.Errorf("it was killed at %d boundaries of %+v, want %d at least", nth-1, fate, least)
		}
		t.Logf("%+v: %d boundaries in %s", fate, nth-1, time.Since(began).Round(time.Millisecond))
		if t.Failed() {
			t.FailNow()
		}
	}
}
