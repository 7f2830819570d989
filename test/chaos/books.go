package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
	"github.com/fieldlog/fieldlog/services/provisioner/simulated"
)

// books are the checker's own fold of everything about orders, made from the log alone and without the program's projections.
type books struct {
	log     *eventlog.Log
	engines engines
	sites   string // folder of the simulated sites

	next     map[eventlog.Topic]map[eventlog.Partition]eventlog.Offset
	inputs   map[eventlog.Position]string // event ids in topic orders
	asked    map[string]int               // records by input
	answers  map[string]int               // facts by input
	orders   map[string]*standing         // by order id, which names its client
	effects  map[string]int               // outcomes "done" by effect
	intents  map[string]int               // by order, version and step
	acts     map[string]int               // what the sites did, by the same
	changes  map[string]int               // which of that changed a site
	noted    int64                        // bytes of the file of acts that are counted
	endings  map[string]int               // final facts by order, version and state
	states   map[string]*schemas.ClientState
	receipts []orderReceipt
	patience time.Duration // without news, before what is open counts as lost
}

// standing is how an order stands.
type standing struct {
	client, namespace string
	version           int32
	cancelled         bool
	ended             map[int32]schemas.ProvisioningState
	reason            string
}

func newBooks(log *eventlog.Log, e engines, sites string) *books {
	return &books{
		log: log, engines: e, sites: sites, patience: 45 * time.Second,
		next:   map[eventlog.Topic]map[eventlog.Partition]eventlog.Offset{},
		inputs: map[eventlog.Position]string{}, asked: map[string]int{}, answers: map[string]int{}, orders: map[string]*standing{},
		effects: map[string]int{}, intents: map[string]int{}, acts: map[string]int{}, changes: map[string]int{}, endings: map[string]int{}, states: map[string]*schemas.ClientState{},
	}
}

// check waits until everything that was ordered has come true, and returns what has not, or has twice.
func (b *books) check(ctx context.Context, receipts []orderReceipt) ([]violation, error) {
	b.receipts = append(b.receipts, receipts...)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); ; {
		news, err := b.read(ctx)
		if err != nil {
			return nil, err
		}
		found, err := b.compare(ctx)
		if err != nil || len(found) == 0 {
			return found, err
		}
		if news {
			since = time.Now()
		}
		if time.Since(since) > b.patience {
			return found, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return found, ctx.Err()
		}
	}
}

// read folds what is new and tells whether there was anything.
func (b *books) read(ctx context.Context) (news bool, err error) {
	events := b.log.NewEvents()
	for _, topic := range append(eventlog.ProvisioningTopics(), eventlog.TopicOrders, eventlog.TopicClientState) {
		if b.next[topic] == nil {
			b.next[topic] = map[eventlog.Partition]eventlog.Offset{}
		}
		for r, err := range b.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Starts: b.next[topic]}) {
			if err != nil {
				return news, err
			}
			event, err := events.Decode(ctx, r)
			if err != nil {
				return news, fmt.Errorf("read %s: %w", r.Position, err)
			}
			news = true
			b.next[topic][r.Partition] = r.Offset + 1
			b.enter(r, event)
		}
	}
	return news, ctx.Err()
}

func (b *books) enter(r *eventlog.Record, event schemas.Event) {
	switch e := event.(type) {
	case *schemas.OrderPlaced, *schemas.OrderChangeRequested, *schemas.OrderCancelRequested:
		b.inputs[r.Position] = e.Head().EventID
		b.asked[e.Head().EventID]++
	case *schemas.OrderRejected:
		b.answers[e.Cause]++
	case *schemas.OrderAccepted:
		b.answers[e.Cause]++
		b.order(e.OrderID).decided(e.Client, e.Namespace, e.Version, false)
	case *schemas.OrderChanged:
		b.answers[e.Cause]++
		b.order(e.OrderID).decided(e.Client, e.Namespace, e.Version, false)
	case *schemas.OrderCancelled:
		b.answers[e.Cause]++
		o := b.order(e.OrderID)
		o.decided(e.Client, o.namespace, e.Version, true)
	case *schemas.EffectRecorded:
		switch e.State {
		case schemas.EffectIntended:
			b.intents[actOf(e.OrderID, e.Version, e.Step)]++
		case schemas.EffectDone:
			b.effects[e.EffectID]++
		}
	case *schemas.ProvisioningProgressed:
		b.told(e)
	case *schemas.ClientState:
		b.states[e.Client] = e
	}
}

func (b *books) order(id string) *standing {
	if b.orders[id] == nil {
		b.orders[id] = &standing{ended: map[int32]schemas.ProvisioningState{}}
	}
	return b.orders[id]
}

func (o *standing) decided(client, namespace string, version int32, cancelled bool) {
	o.client = client
	if version > o.version {
		o.namespace, o.version, o.cancelled = namespace, version, cancelled
	}
}

func (b *books) told(e *schemas.ProvisioningProgressed) {
	switch e.State {
	case schemas.ProvisioningSucceeded, schemas.ProvisioningAbandoned, schemas.ProvisioningDeprovisioned:
		o := b.order(e.OrderID)
		o.ended[e.Version], o.reason = e.State, e.Reason
		b.endings[fmt.Sprintf("%s version %d %s", e.OrderID, e.Version, e.State)]++
	}
}

// status is the order's in its client's state, empty while something is still to be done.
func (o *standing) status() schemas.OrderStatus {
	switch end := o.ended[o.version]; {
	case o.cancelled && end == schemas.ProvisioningDeprovisioned:
		return schemas.OrderStatusDeprovisioned
	case !o.cancelled && end == schemas.ProvisioningSucceeded:
		return schemas.OrderStatusReady
	case !o.cancelled && end == schemas.ProvisioningAbandoned && o.reason != "":
		return schemas.OrderStatusAbandoned
	}
	return ""
}

// compare returns every promise that does not hold now.
func (b *books) compare(ctx context.Context) ([]violation, error) {
	var found []violation
	violate := func(k kind, format string, args ...any) {
		found = append(found, violation{k, fmt.Sprintf(format, args...)})
	}
	for _, r := range b.receipts {
		at := eventlog.Position{Topic: r.Position.Topic, Partition: r.Position.Partition, Offset: r.Position.Offset}
		if is := b.inputs[at]; is != r.EventID {
			violate(lost, "input %s was acknowledged at %v, where %q is", r.EventID, at, is)
		}
	}
	for id := range b.asked {
		if n := b.answers[id]; n == 0 {
			violate(lost, "input %s is not answered", id)
		}
	}
	for what, counts := range map[string]map[string]int{"facts answer input": b.answers, "outcomes has effect": b.effects, "times ended order": b.endings} {
		for id, n := range counts {
			if n > 1 {
				violate(doubled, "%d %s %s", n, what, id)
			}
		}
	}
	for id, o := range b.orders {
		if o.status() == "" {
			violate(lost, "order %s has not come true: version %d, cancelled %v, ended as %v", id, o.version, o.cancelled, o.ended)
		}
	}
	b.compareStates(violate)
	err := errors.Join(b.compareSites(violate), b.compareActs(violate), b.compareOrderRows(ctx, violate))
	return found, err
}

// compareStates expects of every client's published state what the facts say.
func (b *books) compareStates(violate func(kind, string, ...any)) {
	published := map[string]schemas.OrderState{}
	for _, s := range b.states {
		for _, o := range s.Orders {
			published[o.OrderID] = o
		}
	}
	for id, o := range b.orders {
		is, there := published[id]
		if !there && o.status() == schemas.OrderStatusDeprovisioned {
			continue // closed ones are forgotten beyond a bound
		}
		if is.Version != o.version || is.Status != o.status() {
			violate(missing, "order %s is %q at version %d in its client's state, the facts say %q at %d", id, is.Status, is.Version, o.status(), o.version)
		}
	}
}

// compareSites expects that every order which is ready stands as its last version, and that nothing stands which was removed.
func (b *books) compareSites(violate func(kind, string, ...any)) error {
	stands := map[string]map[string]int32{}
	entries, err := os.ReadDir(b.sites)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		var site struct {
			Order string
			Steps map[string]int32
		}
		text, err := os.ReadFile(filepath.Join(b.sites, entry.Name(), "site.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(text, &site)
		}
		if err != nil {
			return err
		}
		stands[site.Order] = site.Steps
		if o := b.orders[site.Order]; o == nil || o.status() == schemas.OrderStatusDeprovisioned {
			violate(doubled, "order %s stands on the site and should not", site.Order)
		}
	}
	for id, o := range b.orders {
		if o.status() != schemas.OrderStatusReady {
			continue
		}
		for _, step := range []string{"namespace", "quota", "workload", "rollout"} {
			if got := stands[id][step]; got != o.version {
				violate(missing, "step %s of order %s stands at version %d, should be %d", step, id, got, o.version)
			}
		}
	}
	return nil
}

func actOf(order string, version int32, step string) string {
	return fmt.Sprintf("%s of version %d of order %s", step, version, order)
}

// countActs counts what the sites have noted since the last time.
func (b *books) countActs() error {
	file, err := os.Open(filepath.Join(b.sites, simulated.Acts))
	if err != nil {
		return err
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, b.noted, math.MaxInt64-b.noted))
	if err != nil {
		return err
	}
	whole := text[:bytes.LastIndexByte(text, '\n')+1]
	for line := range bytes.Lines(whole) {
		var a simulated.Act
		if err := json.Unmarshal(line, &a); err != nil {
			return fmt.Errorf("read act %q: %w", line, err)
		}
		of := actOf(a.Order, a.Version, a.Step)
		b.acts[of]++
		if a.Changed {
			b.changes[of]++
		}
	}
	b.noted += int64(len(whole))
	return nil
}

// compareActs expects that each act changed a site once, and that the sites were asked no more often than the ledger says beforehand:
// a try that was begun may be looked for, and never repeated without a new intent.
func (b *books) compareActs(violate func(kind, string, ...any)) error {
	if err := b.countActs(); err != nil {
		return err
	}
	for act, n := range b.changes {
		if n > 1 {
			violate(doubled, "%s changed the site %d times", act, n)
		}
	}
	for act, n := range b.acts {
		if intended := b.intents[act]; n > intended {
			violate(doubled, "%s was done %d times, the ledger has %d intents", act, n, intended)
		}
	}
	return nil
}

// compareOrderRows expects of ClickHouse's view of orders what the facts say.
func (b *books) compareOrderRows(ctx context.Context, violate func(kind, string, ...any)) error {
	rows, err := b.engines.query(ctx, "SELECT order_id, version, status FROM fieldlog.orders")
	if err != nil {
		return err
	}
	has := map[string]string{}
	for _, row := range rows {
		var id, rest string
		var version int
		if _, err := fmt.Sscan(row, &id, &version, &rest); err != nil {
			return fmt.Errorf("read %q: %w", row, err)
		}
		has[id] = fmt.Sprint(version, " ", rest)
	}
	for id, o := range b.orders {
		if want := fmt.Sprint(o.version, " ", o.status()); has[id] != want {
			violate(missing, "order %s is %q in ClickHouse, the facts say %q", id, has[id], want)
		}
	}
	return nil
}
