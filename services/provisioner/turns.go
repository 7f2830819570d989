package provisioner

import (
	"container/heap"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// turns are the clients to look at, in the order in which something happened to them: so nobody waits for ever, and looking at one
// does not cost looking at all.
type turns struct {
	heard line                 // something was told of them
	ready line                 // their first order may begin when there is a worker
	later later                // their time comes
	dates map[string]time.Time // by client, the soonest in later
}

func newTurns() turns {
	return turns{heard: line{in: map[string]bool{}}, ready: line{in: map[string]bool{}}, dates: map[string]time.Time{}}
}

// call lets a client be looked at soon.
func (t *turns) call(client string) { t.heard.join(client) }

// callAt lets a client be looked at then, or sooner.
func (t *turns) callAt(client string, at time.Time) {
	if date, is := t.dates[client]; is && !date.After(at) {
		return
	}
	t.dates[client] = at
	heap.Push(&t.later, appointment{at, client})
}

// callDue calls those whose time has come.
func (t *turns) callDue(now time.Time) {
	for len(t.later) > 0 && !t.later[0].at.After(now) {
		due := heap.Pop(&t.later).(appointment)
		if due.at.Equal(t.dates[due.client]) {
			delete(t.dates, due.client)
		}
		t.call(due.client)
	}
}

// line is a queue in which everybody stands once.
type line struct {
	clients []string
	in      map[string]bool
}

func (l *line) join(client string) {
	if !l.in[client] {
		l.in[client] = true
		l.clients = append(l.clients, client)
	}
}

func (l *line) leave() (first string) {
	first = l.clients[0]
	l.clients = l.clients[1:]
	delete(l.in, first)
	return first
}

// later is a heap of the times at which clients are to be called, the next first.
type later []appointment

type appointment struct {
	at     time.Time
	client string
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (l later) Len() int           { return len(l) }
func (l later) Less(i, j int) bool { return l[i].at.Before(l[j].at) }
func (l later) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *later) Push(a any)        { *l = append(*l, a.(appointment)) }
func (l *later) Pop() any {
	last := (*l)[len(*l)-1]
	*l = (*l)[:len(*l)-1]
	return last
}

const (
	idle     = time.Minute            // an owner sleeps when nothing is due
	busyWait = 100 * time.Millisecond // after it a free worker is looked for again
	maxTold  = 1000                   // events of a transaction, give or take a client's
)

// advance begins what may begin now. It returns when to look again, though nothing be told until then.
func (o *owner) advance(now time.Time) (due time.Time) {
	t := &o.turns
	t.callDue(now)
	for len(t.heard.clients) > 0 && len(o.told) < maxTold {
		client := t.heard.leave()
		o.note(o.requested(client, now)...)
		t.ready.join(client)
	}
	for len(t.ready.clients) > 0 && len(o.told) < maxTold {
		if !o.begin(t.ready.clients[0], now) {
			return now.Add(busyWait)
		}
		t.ready.leave()
	}
	switch {
	case len(t.heard.clients)+len(t.ready.clients) > 0:
		return now
	case len(t.later) > 0:
		return t.later[0].at
	}
	return now.Add(idle)
}

// requested tells of orders that were not told of yet.
func (o *owner) requested(client string, now time.Time) []schemas.Event {
	var facts []schemas.Event
	for _, order := range o.state.Queue(client) {
		if p := order.Progress(); !p.Requested && !p.Started && p.Done == 0 && p.Attempt == 0 {
			facts = append(facts, o.fact(o.task(order), schemas.ProvisioningRequested, now))
		}
	}
	return facts
}

// started is a task that was given a worker and a backend.
type started struct {
	task task
	told func(error)
}

// begin begins what the client's first order needs next, if it may begin now; or gives the order up. It returns false when
// there is no free worker. Who is being worked on is called again when that has ended.
func (o *owner) begin(client string, now time.Time) bool {
	queue := o.state.Queue(client)
	if len(queue) == 0 || o.busy[client] {
		return true
	}
	p, t := queue[0].Progress(), o.task(queue[0])
	if p.GiveUp {
		o.note(o.abandoned(t, "operator", "an operator gave it up", p.Attempt, now)...)
		o.turns.call(client)
		return true
	}
	if next := p.NextTry.Time(); p.NextTry > 0 && next.After(now) {
		o.turns.callAt(client, next)
		return true
	}
	select {
	case o.service.slots <- struct{}{}:
	default:
		return false
	}
	told, ok := t.backend.allow()
	if !ok {
		<-o.service.slots
		o.turns.callAt(client, now.Add(t.backend.rest))
		return true
	}
	if !p.Started {
		o.note(o.fact(t, schemas.ProvisioningStarted, now))
	}
	o.note(o.effect(t, schemas.EffectIntended, "", now))
	o.busy[client] = true
	o.begun = append(o.begun, started{task: t, told: told})
	return true
}
