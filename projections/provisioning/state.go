package provisioning

import (
	"cmp"
	"maps"
	"slices"

	"github.com/fieldlog/fieldlog/schemas"
)

// State is what is known of a partition's orders. It belongs to one goroutine.
//
// Its memory is that of the orders which are not removed: some hundred bytes each.
type State struct {
	orders  map[key]*Order
	open    map[string]map[string]*Order // by client and order id: those with something to do
	intents map[string]bool              // effects that were begun and have no outcome

	unfinished int // orders in open
}

type key struct{ client, order string }

// New returns the state of a partition of which nothing is known.
func New() *State {
	return &State{orders: map[key]*Order{}, open: map[string]map[string]*Order{}, intents: map[string]bool{}}
}

// Apply folds an event; kinds that say nothing about provisioning change nothing.
func (s *State) Apply(event schemas.Event) {
	switch e := event.(type) {
	case *schemas.OrderAccepted:
		s.wanted(e.Client, e.OrderID, e.Version, e.CauseOffset, func(o *Order) {
			o.Terms, o.TraceID, o.Cause = e.Terms, e.TraceID, e.Cause
		})
	case *schemas.OrderChanged:
		s.wanted(e.Client, e.OrderID, e.Version, e.CauseOffset, func(o *Order) {
			o.Terms, o.TraceID, o.Cause = e.Terms, e.TraceID, e.Cause
		})
	case *schemas.OrderCancelled:
		s.wanted(e.Client, e.OrderID, e.Version, e.CauseOffset, func(o *Order) {
			o.Cancelled, o.TraceID, o.Cause = true, e.TraceID, e.Cause
		})
	case *schemas.ProvisioningProgressed:
		s.told(e.Client, e.OrderID, func(o *Order) { o.progressed(e) })
	case *schemas.ProvisioningIntervened:
		s.told(e.Client, e.OrderID, func(o *Order) { o.intervened(e) })
	case *schemas.EffectRecorded:
		if e.State == schemas.EffectIntended {
			s.intents[e.EffectID] = true
		} else {
			delete(s.intents, e.EffectID)
		}
	}
}

// wanted takes note of a version of an order, unless a later one is known. A first version after a cancellation is another order: the
// registrar has forgotten the id meanwhile, and its client uses it again.
func (s *State) wanted(client, id string, version int32, place int64, set func(*Order)) {
	first := s.order(client, id)
	o := first
	for o.after != nil {
		o = o.after
	}
	if version == 1 && o.Cancelled && place > o.Place {
		o.after = &Order{Client: client, ID: id}
		o = o.after
	}
	if o.Version == 0 || version > o.Version && place > o.Place {
		o.Version, o.Place = version, place
		if version == 1 {
			o.Born = place
		}
		set(o)
	}
	s.sort(first)
}

func (s *State) told(client, id string, tell func(*Order)) {
	o := s.order(client, id)
	tell(o)
	s.sort(o)
}

func (s *State) order(client, id string) *Order {
	k := key{client, id}
	if s.orders[k] == nil {
		s.orders[k] = &Order{Client: client, ID: id}
	}
	return s.orders[k]
}

// sort puts an order where it belongs: among those with something to do, or not; one that was removed is forgotten.
func (s *State) sort(o *Order) {
	if o.Open() {
		if s.open[o.Client] == nil {
			s.open[o.Client] = map[string]*Order{}
		}
		if s.open[o.Client][o.ID] == nil {
			s.unfinished++
		}
		s.open[o.Client][o.ID] = o
		return
	}
	if s.open[o.Client][o.ID] != nil {
		s.unfinished--
	}
	delete(s.open[o.Client], o.ID)
	if len(s.open[o.Client]) == 0 {
		delete(s.open, o.Client)
	}
	if o.Cancelled && o.Progress().Ended == schemas.ProvisioningDeprovisioned {
		delete(s.orders, key{o.Client, o.ID})
		if o.after != nil {
			s.orders[key{o.Client, o.ID}] = o.after
			s.sort(o.after)
		}
	}
}

// Waiting returns the clients for whom something is to be done, sorted.
func (s *State) Waiting() []string { return slices.Sorted(maps.Keys(s.open)) }

// Open counts the orders with something to do.
func (s *State) Open() int { return s.unfinished }

// Queue returns a client's orders with something to do, in the order in which they were asked for. Only the first may be
// worked on: what comes later waits for it.
func (s *State) Queue(client string) []*Order {
	return slices.SortedFunc(maps.Values(s.open[client]), func(a, b *Order) int {
		return cmp.Or(cmp.Compare(a.Place, b.Place), cmp.Compare(a.ID, b.ID))
	})
}

// Order returns an order, nil when it is unknown or removed.
func (s *State) Order(client, id string) *Order { return s.orders[key{client, id}] }

// All returns every order that is not removed, by client and place.
func (s *State) All() []*Order {
	return slices.SortedFunc(maps.Values(s.orders), func(a, b *Order) int {
		return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Place, b.Place), cmp.Compare(a.ID, b.ID))
	})
}

// Begun tells whether an effect was begun and has no outcome: it may have happened.
func (s *State) Begun(effect string) bool { return s.intents[effect] }
