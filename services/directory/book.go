package directory

import (
	"slices"
	"sync"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// book holds the newest state of each client, and who waits for news. It is safe for concurrent use.
type book struct {
	mu       sync.RWMutex
	entries  map[string]entry
	names    []string            // of clients, sorted
	byOrder  map[string][]string // order id -> clients who have such an order
	watchers map[*watcher]bool
	waiting  map[input][]chan<- schemas.Event
	early    map[string][]answer // by client: those who wait for them are told when its state reflects them
}

// entry is a client's state, and the partition that everything about the client is in.
type entry struct {
	state     *schemas.ClientState // never changed once it is here
	partition eventlog.Partition
}

// input names an input by its client and event id.
type input struct{ client, event string }

// answer is a fact that answers an input, which has an offset.
type answer struct {
	to   input
	at   int64
	fact schemas.Event
}

func newBook() *book {
	return &book{
		entries: map[string]entry{}, byOrder: map[string][]string{},
		watchers: map[*watcher]bool{}, waiting: map[input][]chan<- schemas.Event{}, early: map[string][]answer{},
	}
}

// take takes what a record tells: a state, or a fact that somebody waits for. A fact and the state that reflects it are committed
// together but read apart. Who waits is told when both are here: he may look at what he was told of.
func (b *book) take(r *eventlog.Record, event schemas.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, is := event.(*schemas.ClientState); is {
		b.put(entry{state: s, partition: r.Partition})
		b.catchUp(s)
		return
	}
	a, is := answerOf(event)
	if !is || len(b.waiting[a.to]) == 0 {
		return
	}
	client := a.to.client
	b.early[client] = append(b.early[client], a)
	if e, known := b.entries[client]; known {
		b.catchUp(e.state)
	}
}

// catchUp gives out the answers that a state reflects.
func (b *book) catchUp(s *schemas.ClientState) {
	left := slices.DeleteFunc(b.early[s.Client], func(a answer) bool {
		if a.at >= s.OrdersNext {
			return false
		}
		b.give(a)
		return true
	})
	if b.early[s.Client] = left; len(left) == 0 {
		delete(b.early, s.Client)
	}
}

func (b *book) give(a answer) {
	for _, waits := range b.waiting[a.to] {
		select {
		case waits <- a.fact:
		default: // it was looked up meanwhile
		}
	}
	delete(b.waiting, a.to)
}

func (b *book) put(e entry) {
	client := e.state.Client
	old, known := b.entries[client]
	if !known {
		at, _ := slices.BinarySearch(b.names, client)
		b.names = slices.Insert(b.names, at, client)
	} else {
		for i := range old.state.Orders {
			b.unindex(old.state.Orders[i].OrderID, client)
		}
	}
	for i := range e.state.Orders {
		id := e.state.Orders[i].OrderID
		b.byOrder[id] = append(b.byOrder[id], client)
	}
	b.entries[client] = e
	for w := range b.watchers {
		w.note(client)
	}
}

func (b *book) unindex(order, client string) {
	left := slices.DeleteFunc(b.byOrder[order], func(c string) bool { return c == client })
	if b.byOrder[order] = left; len(left) == 0 {
		delete(b.byOrder, order)
	}
}

// client returns a client's entry.
func (b *book) client(name string) (entry, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	e, known := b.entries[name]
	return e, known
}

// after hands out the states of the clients behind a name, in order, until enough says so.
func (b *book) after(name string, enough func(*schemas.ClientState) bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	at, found := slices.BinarySearch(b.names, name)
	if found {
		at++
	}
	for _, client := range b.names[at:] {
		if enough(b.entries[client].state) {
			return
		}
	}
}

// owners returns the clients who have an order of that id.
func (b *book) owners(order string) []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return slices.Clone(b.byOrder[order])
}

// expect returns a channel that gets the fact which answers an input.
func (b *book) expect(in input) (answer chan schemas.Event, cancel func()) {
	answer = make(chan schemas.Event, 1)
	b.mu.Lock()
	b.waiting[in] = append(b.waiting[in], answer)
	b.mu.Unlock()
	return answer, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		left := slices.DeleteFunc(b.waiting[in], func(c chan<- schemas.Event) bool { return c == answer })
		if b.waiting[in] = left; len(left) == 0 {
			delete(b.waiting, in)
		}
	}
}

// answerOf returns what a fact answers, if it answers anything.
func answerOf(event schemas.Event) (a answer, is bool) {
	switch f := event.(type) {
	case *schemas.OrderAccepted:
		return answer{input{f.Client, f.Cause}, f.CauseOffset, f}, true
	case *schemas.OrderChanged:
		return answer{input{f.Client, f.Cause}, f.CauseOffset, f}, true
	case *schemas.OrderCancelled:
		return answer{input{f.Client, f.Cause}, f.CauseOffset, f}, true
	case *schemas.OrderRejected:
		return answer{input{f.Client, f.Cause}, f.CauseOffset, f}, true
	}
	return answer{}, false
}

// watcher learns which clients changed. What it has not asked for yet is a set of names.
type watcher struct {
	only  string // of one client; empty for all
	ready chan struct{}

	mu      sync.Mutex
	changed map[string]bool
}

func (w *watcher) note(client string) {
	if w.only != "" && w.only != client {
		return
	}
	w.mu.Lock()
	w.changed[client] = true
	w.mu.Unlock()
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// taken returns the names noted since it was last called, sorted.
func (w *watcher) taken() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	names := make([]string, 0, len(w.changed))
	for name := range w.changed {
		names = append(names, name)
	}
	clear(w.changed)
	slices.Sort(names)
	return names
}

// watch begins to note changes of a client, or of all. False says that too many watch already.
func (b *book) watch(only string, most int) (w *watcher, stop func(), ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.watchers) >= most {
		return nil, nil, false
	}
	w = &watcher{only: only, ready: make(chan struct{}, 1), changed: map[string]bool{}}
	b.watchers[w] = true
	return w, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, w)
	}, true
}
