package portal

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/schemas"
)

// orderList is the page of orders.
type orderList struct {
	Orders   []order
	Next     string
	Filter   filter
	Statuses []schemas.OrderStatus
	Products []products.Product
	Trends   bool // there is a ClickHouse that knows them
}

// filter is what is asked for.
type filter struct{ Client, Status, Product, Environment, Archtype, Hardware, After string }

// pageSize is how many orders a page has; the gateway ends a page of orders by client between two clients.
const pageSize = 100

func filterOf(q url.Values) filter {
	return filter{
		Client: q.Get("client"), Status: q.Get("status"), Product: q.Get("product"), Environment: q.Get("environment"),
		Archtype: q.Get("archtype"), Hardware: q.Get("hardware"), After: q.Get("after"),
	}
}

// query returns what is set, for the gateway and for links.
func (f filter) query() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{
		"client": f.Client, "status": f.Status, "product": f.Product, "environment": f.Environment, "archtype": f.Archtype,
		"hardware": f.Hardware, "after": f.After,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// More returns the address of the page after another one.
func (f filter) More(path, next string) string {
	f.After = next
	return path + "?" + f.query().Encode()
}

// find asks the gateway for a page of orders, by client unless sort is newest.
func (p *Portal) find(v *visit, sort string) (orderList, error) {
	data := orderList{Filter: filterOf(v.r.URL.Query()), Statuses: schemas.OrderStatuses(), Products: p.cfg.Products.All(), Trends: p.sources.Tables != nil}
	query := data.Filter.query()
	query.Set("limit", strconv.Itoa(pageSize))
	if sort != "" {
		query.Set("sort", sort)
	}
	page, err := p.api.orders(v.r.Context(), query)
	data.Orders, data.Next = page.Orders, page.Next
	return data, err
}

func (p *Portal) listOrders(v *visit) error {
	data, err := p.find(v, "newest")
	if err != nil {
		return err
	}
	return v.showLive("orders", "Orders", "/live", data)
}

// orderForm is the page that orders, or changes an order.
type orderForm struct {
	wanted
	ID      string // of the form: sent twice, it orders once
	Order   string // the order that is changed; empty for a new one
	Version int32
	Text    string // the parameters, a line each
	Errors  map[string]string
	Wrong   string
	Unsure  bool // nobody knows whether it was taken
	Stale   bool // the order has another version by now

	Products                                 []products.Product
	Environments, Archtypes, HardwareClasses []string
}

func (p *Portal) form(f orderForm) orderForm {
	f.Products, f.Environments, f.Archtypes, f.HardwareClasses = p.cfg.Products.All(), schemas.Environments(), schemas.Archtypes(), schemas.HardwareClasses()
	return f
}

var formID = regexp.MustCompile(`^o-[a-z2-7]{13}$`)

func newFormID() string { return "o-" + strings.ToLower(rand.Text()[:13]) }

func (p *Portal) newOrder(v *visit) error {
	q := v.r.URL.Query()
	f := orderForm{ID: newFormID()}
	f.Client, f.Product = q.Get("client"), q.Get("product")
	f.Environment, f.Archtype, f.Hardware = "Development", "SaaS", "Shared"
	return v.show("order", "Order a module", p.form(f))
}

// orderForm takes the fields of the form.
func (v *visit) orderForm() orderForm {
	f := orderForm{ID: v.form("id"), Order: v.r.PathValue("order"), Text: v.form("parameters"), Errors: map[string]string{}}
	if !formID.MatchString(f.ID) {
		f.ID = newFormID()
	}
	f.wanted = wanted{
		Client: v.form("client"), Namespace: v.form("namespace"), Environment: v.form("environment"), Archtype: v.form("archtype"),
		Hardware: v.form("hardware"), Product: v.form("product"), EventID: f.ID, RequestedBy: v.user.Name, Metadata: v.metadata(),
	}
	f.Parameters = map[string]string{}
	for text := range strings.Lines(f.Text) {
		name, value, is := strings.Cut(text, "=")
		name = strings.TrimSpace(name)
		switch _, twice := f.Parameters[name]; {
		case strings.TrimSpace(text) == "":
		case !is, twice:
			f.Errors["parameters"] = fmt.Sprintf("Want one name=value a line, each name once: %q", cut(strings.TrimSpace(text), 60))
		default:
			f.Parameters[name] = strings.TrimSpace(value)
		}
	}
	return f
}

func (v *visit) metadata() metadata { return metadata{Origin: "portal", Publisher: "fieldlog"} }

func (p *Portal) placeOrder(v *visit) error {
	f := v.orderForm()
	if len(f.Errors) > 0 {
		return v.showAs(http.StatusBadRequest, "order", "Order a module", p.form(f))
	}
	made, err := p.api.place(v.r.Context(), &f.wanted, v.trace, p.cfg.Wait)
	if err != nil {
		return p.again(v, f, "Order a module", err)
	}
	return v.decided(made, "placed")
}

// decided goes to the client's page, or to the trace while nothing is decided.
func (v *visit) decided(d decision, done string) error {
	if d.Decision == "pending" {
		return v.redirect("/trace/" + url.PathEscape(cmp.Or(d.TraceID, v.trace)) + "?done=pending")
	}
	return v.redirect("/clients/" + url.PathEscape(d.Client) + "?" + url.Values{"order": {d.OrderID}, "done": {done}}.Encode())
}

// again shows the form with what was typed and what is wrong. Where nobody knows whether it was taken its id stays: sent again, it counts
// once.
func (p *Portal) again(v *visit, f orderForm, title string, err error) error {
	var no *refused
	var silent *unreachable
	status := http.StatusBadGateway
	switch {
	case errors.As(err, &silent):
		f.Wrong, f.Unsure = silent.Error(), true
	case !errors.As(err, &no) || no.Status == http.StatusUnauthorized:
		return err
	case no.Status >= http.StatusInternalServerError:
		status, f.Wrong, f.Unsure = no.Status, no.Detail, true
	default:
		status = no.Status
		f.refuse(no)
	}
	return v.showAs(status, "order", title, p.form(f))
}

// refuse puts what is wrong beside the fields. What the registrar rejected is remembered under the id of the form, which gets a new one.
// What the gateway refused is not: an earlier try, of which nobody knows whether it was taken, still counts once with this one.
func (f *orderForm) refuse(no *refused) {
	for _, one := range no.Errors {
		f.Errors[cmp.Or(one.Field, "form")] = one.Reason
	}
	switch schemas.RejectionReason(no.Reason) {
	case schemas.RejectedNamespace:
		f.Errors["namespace"] = no.Detail
	case schemas.RejectedHardware:
		f.Errors["hardware"] = no.Detail
	case schemas.RejectedUnknownProduct:
		f.Errors["product"] = no.Detail
	default:
		f.Wrong, f.Stale = no.Detail, no.Reason == string(schemas.RejectedStale)
	}
	if len(f.Errors) > 0 {
		f.Wrong = ""
	}
	if no.Reason != "" {
		f.ID = newFormID()
	}
}

// asked returns the order that a form is about, and the version that its sender saw.
func (v *visit) asked() (client, id string, version int32, err error) {
	client, id = cmp.Or(v.form("client"), v.r.URL.Query().Get("client")), v.r.PathValue("order")
	n, parsed := strconv.ParseInt(cmp.Or(v.form("version"), "0"), 10, 32)
	if client == "" || parsed != nil {
		return "", "", 0, fail(http.StatusBadRequest, "The form does not say whose order it is about.")
	}
	return client, id, int32(n), nil
}

func (p *Portal) editOrder(v *visit) error {
	name, id, _, err := v.asked()
	if err != nil {
		return err
	}
	o, err := p.api.order(v.r.Context(), name, id)
	if err != nil {
		return err
	}
	f := orderForm{ID: newFormID(), Order: id, Version: o.Version}
	f.wanted = wanted{
		Client: o.Client, Namespace: o.Namespace, Environment: o.Environment, Archtype: o.Archtype, Hardware: o.Hardware, Product: o.Product,
	}
	for _, parameter := range slices.Sorted(maps.Keys(o.Parameters)) {
		f.Text += parameter + "=" + o.Parameters[parameter] + "\n"
	}
	return v.show("order", "Change an order", p.form(f))
}

func (p *Portal) changeOrder(v *visit) error {
	_, id, version, err := v.asked()
	if err != nil {
		return err
	}
	f := v.orderForm()
	f.Version = version
	if len(f.Errors) > 0 {
		return v.showAs(http.StatusBadRequest, "order", "Change an order", p.form(f))
	}
	made, err := p.api.change(v.r.Context(), id, version, &f.wanted, v.trace, p.cfg.Wait)
	if err != nil {
		return p.again(v, f, "Change an order", err)
	}
	return v.decided(made, "changed")
}

func (p *Portal) cancelOrder(v *visit) error {
	name, id, version, err := v.asked()
	if err != nil {
		return err
	}
	o := &wanted{Client: name, Reason: v.form("why"), RequestedBy: v.user.Name, Metadata: v.metadata()}
	made, err := p.api.cancel(v.r.Context(), id, version, o, v.trace, p.cfg.Wait)
	if err != nil {
		return err
	}
	return v.decided(made, "cancelled")
}

// maxWhy bounds a reason, in bytes.
const maxWhy = 500

// intervene sends what an operator decides about an order that fails. It goes on the order's own trace.
func (p *Portal) intervene(action schemas.Intervention) func(*visit) error {
	return func(v *visit) error {
		name, id, version, err := v.asked()
		if err != nil {
			return err
		}
		why := v.form("why")
		if len(why) > maxWhy {
			return fail(http.StatusBadRequest, "The reason has more than 500 bytes.")
		}
		o := &wanted{Client: name, Reason: why, RequestedBy: v.user.Name, Metadata: v.metadata()}
		made, err := p.api.intervene(v.r.Context(), id, version, action, o)
		if err != nil {
			return err
		}
		v.trace = cmp.Or(made.TraceID, v.trace)
		return v.redirect("/clients/" + url.PathEscape(name) + "?" + url.Values{"order": {id}, "done": {string(action)}}.Encode())
	}
}
