package directory

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

// Route is a way in.
type Route struct {
	Method, Path string
	Serve        http.HandlerFunc
}

// Routes returns the ways in, for whoever serves them.
func (d *Directory) Routes() []Route {
	return []Route{
		{http.MethodGet, "/v1/clients", d.getClients},
		{http.MethodGet, "/v1/clients/{client}", d.getClient},
		{http.MethodGet, "/v1/clients/{client}/events", d.getClientEvents},
		{http.MethodGet, "/v1/orders", d.getOrders},
		{http.MethodGet, "/v1/orders/{order}", d.getOrder},
	}
}

// filter says which orders are wanted; empty fields are all.
type filter struct{ client, status, product, namespace, environment, archtype, hardware string }

func filterOf(q url.Values) filter {
	return filter{
		client: q.Get("client"), status: q.Get("status"), product: q.Get("product"), namespace: q.Get("namespace"),
		environment: q.Get("environment"), archtype: q.Get("archtype"), hardware: q.Get("hardware"),
	}
}

func (f filter) takes(client string, o *schemas.OrderState) bool {
	is := func(wanted, value string) bool { return wanted == "" || strings.EqualFold(wanted, value) }
	return is(f.client, client) && is(f.status, string(o.Status)) && is(f.product, o.Product) && is(f.namespace, o.Namespace) &&
		is(f.environment, o.Environment) && is(f.archtype, o.Archtype) && is(f.hardware, o.Hardware)
}

// any tells whether every order is wanted.
func (f filter) any() bool { return f == filter{client: f.client} }

// The bounds of a page.
const (
	defaultPage = 100
	maxPage     = 1000 // orders, and clients
)

func pageOf(q url.Values) (limit int, err error) {
	text := q.Get("limit")
	if text == "" {
		return defaultPage, nil
	}
	limit, err = strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxPage {
		return 0, fmt.Errorf("limit is a number from 1 to %d", maxPage)
	}
	return limit, nil
}

// clientsPage is the answer of GET /v1/clients. Next is where the next page goes on (?after=), empty on the last one.
type clientsPage struct {
	Clients []Client `json:"clients"`
	Next    string   `json:"next,omitempty"`
}

// getClients lists clients by name, each with the orders that are wanted, or streams what changes.
func (d *Directory) getClients(w http.ResponseWriter, r *http.Request) {
	if wantsEvents(r) {
		d.stream(w, r, "")
		return
	}
	q := r.URL.Query()
	limit, err := pageOf(q)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	f, page, orders := filterOf(q), clientsPage{Clients: []Client{}}, 0
	d.book.after(q.Get("after"), func(s *schemas.ClientState) bool {
		if len(page.Clients) == limit || orders >= maxPage {
			page.Next = page.Clients[len(page.Clients)-1].Client
			return true
		}
		if shown := f.shown(s); len(shown.Orders) > 0 || f.any() && (f.client == "" || strings.EqualFold(f.client, s.Client)) {
			page.Clients = append(page.Clients, shown)
			orders += len(shown.Orders)
		}
		return false
	})
	write(w, http.StatusOK, "application/json", page)
}

// shown returns a client with the orders that are wanted.
func (f filter) shown(s *schemas.ClientState) Client {
	wanted := *s
	wanted.Orders = nil
	for i := range s.Orders {
		if f.takes(s.Client, &s.Orders[i]) {
			wanted.Orders = append(wanted.Orders, s.Orders[i])
		}
	}
	return shownClient(&wanted)
}

// ordersPage is the answer of GET /v1/orders. Next is where the next page goes on (?after=), empty on the last one: pages of orders by
// client end between clients.
type ordersPage struct {
	Orders []Order `json:"orders"`
	Next   string  `json:"next,omitempty"`
}

// getOrders lists orders by client, oldest first; or those that changed last first.
func (d *Directory) getOrders(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	limit, err := pageOf(q)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	switch q.Get("sort") {
	case "":
	case "newest":
		page, err := d.newest(q, limit)
		if err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
		write(w, http.StatusOK, "application/json", page)
		return
	default:
		refuse(w, http.StatusBadRequest, "sort is newest, or left out")
		return
	}
	f, page, last := filterOf(q), ordersPage{Orders: []Order{}}, ""
	d.book.after(q.Get("after"), func(s *schemas.ClientState) bool {
		if len(page.Orders) >= limit {
			page.Next = last
			return true
		}
		page.Orders = append(page.Orders, f.shown(s).Orders...)
		last = s.Client
		return false
	})
	write(w, http.StatusOK, "application/json", page)
}

// getClient shows one client: now, or as of a time or an offset of topic clients; with history.
func (d *Directory) getClient(w http.ResponseWriter, r *http.Request) {
	name, q := r.PathValue("client"), r.URL.Query()
	e, known := d.book.client(name)
	if !known {
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no client %q", name))
		return
	}
	until, err := momentOf(q.Get("as_of"), time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	history, err := historyOf(q.Get("history"))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	state := e.state
	if until.set {
		if state, err = d.past(r.Context(), name, e.partition, &until); err != nil {
			d.unread(w, r, err)
			return
		}
		if state.Version == 0 {
			refuse(w, http.StatusNotFound, fmt.Sprintf("there was no client %q", name))
			return
		}
	}
	shown := shownClient(state)
	if history > 0 {
		if shown.History, err = d.history(r.Context(), name, e.partition, until, history); err != nil {
			d.unread(w, r, err)
			return
		}
	}
	tagged(w, r, state.Version, history == 0, shown) // the history has inputs that are not decided yet
}

// unread answers when the log could not be read.
func (d *Directory) unread(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() == nil {
		d.logger.Warn("cannot read the history of a client", "error", err)
	}
	refuse(w, http.StatusServiceUnavailable, "the history cannot be read now: "+err.Error())
}

// getOrder shows one order. Where several clients have one of that id, ?client= says whose.
func (d *Directory) getOrder(w http.ResponseWriter, r *http.Request) {
	client, order, err := d.Order(r.URL.Query().Get("client"), r.PathValue("order"))
	switch {
	case err != nil:
		refuse(w, http.StatusConflict, err.Error())
	case order == nil:
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no order %q", r.PathValue("order")))
	default:
		tagged(w, r, order.Version, false, shownOrder(client, order)) // its provisioning does not change the version
	}
}

// Order returns the newest known state of an order, nil when none is known. Without a client, an order whose id several clients
// use is an error.
func (d *Directory) Order(client, id string) (owner string, order *schemas.OrderState, err error) {
	if client == "" {
		owners := d.book.owners(id)
		if len(owners) > 1 {
			return "", nil, fmt.Errorf("several clients have an order %q: say whose with ?client=", id)
		}
		if len(owners) == 0 {
			return "", nil, nil
		}
		client = owners[0]
	}
	e, known := d.book.client(client)
	if !known {
		return client, nil, nil
	}
	for i := len(e.state.Orders) - 1; i >= 0; i-- {
		if e.state.Orders[i].OrderID == id {
			return client, &e.state.Orders[i], nil
		}
	}
	return client, nil, nil
}
