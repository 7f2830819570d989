package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/loopback"
	"github.com/fieldlog/fieldlog/schemas"
)

// access says who may use a page.
type access uint8

const (
	open access = iota // everybody
	see                // who is logged in
	act                // operators
)

// routes returns what answers: the checks that every request passes, then the pages.
func (p *Portal) routes() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern, page string, who access, serve func(*visit) error) {
		mux.Handle(pattern, p.page(page, who, bounded(pageTime, serve)))
	}
	streams := func(pattern, page string, serve func(*visit) error) { mux.Handle(pattern, p.page(page, see, serve)) }
	on("GET /{$}", "home", see, func(v *visit) error { return v.redirect("/orders") })
	on("GET /orders", "orders", see, p.listOrders)
	on("GET /orders/new", "order", act, p.newOrder)
	on("POST /orders", "order", act, p.placeOrder)
	on("GET /orders/{order}/change", "change", act, p.editOrder)
	on("POST /orders/{order}/change", "change", act, p.changeOrder)
	on("POST /orders/{order}/cancel", "cancel", act, p.cancelOrder)
	on("POST /orders/{order}/retry", "retry", act, p.intervene(schemas.InterventionRetry))
	on("POST /orders/{order}/abandon", "abandon", act, p.intervene(schemas.InterventionAbandon))
	on("GET /clients", "clients", see, p.listClients)
	on("GET /clients/{client}", "client", see, p.showClient)
	on("GET /clients/{client}/readings.json", "readings", see, p.drawn(p.readingsChart))
	on("GET /charts/orders.json", "charts", see, p.drawn(p.ordersChart))
	on("GET /charts/times.json", "charts", see, p.drawn(p.timesChart))
	on("GET /charts/throughput.json", "charts", see, p.throughputChart)
	streams("GET /live", "live", p.live)
	on("GET /events", "events", see, p.browseEvents)
	streams("GET /events/live", "follow", p.followEvents)
	on("GET /letters", "letters", see, p.listLetters)
	on("POST /letters/redrive", "redrive", act, p.redrive)
	on("POST /letters/discard", "discard", act, p.discard)
	on("GET /operations", "operations", see, p.operations)
	on("GET /trace", "trace", see, p.findTrace)
	on("GET /trace/{id}", "trace", see, p.showTrace)
	on("GET /login", "login", open, p.showLogin)
	on("POST /login", "login", open, p.login)
	on("POST /logout", "logout", open, p.logout)
	on("GET /static/{file...}", "static", open, p.static)
	on("/", "unknown", open, func(*visit) error { return fail(http.StatusNotFound, "There is no such page.") })
	foreign := http.NewCrossOriginProtection()
	foreign.SetDenyHandler(p.page("foreign", open, func(*visit) error {
		return fail(http.StatusForbidden, "This form was sent by another site, so nothing was done.")
	}))
	return p.guard(foreign.Handler(mux))
}

// policy lets pages load and do nothing but what the portal itself has.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// guard puts what protects the browser on every answer, and bounds what is read.
func (p *Portal) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next.ServeHTTP(w, r)
	})
}

// maxForm bounds the body of a request, in bytes.
const maxForm = 64 << 10

// page answers a page for those who may use it, and counts the request.
func (p *Portal) page(name string, who access, serve func(*visit) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &answer{ResponseWriter: w, code: http.StatusOK}
		v := &visit{portal: p, w: out, r: r, page: name, trace: newTrace()}
		err := v.enter(who)
		if err == nil {
			err = serve(v)
		}
		if err != nil && !errors.Is(err, errAnswered) {
			v.problem(err)
		}
		p.metrics.requests.WithLabelValues(name, strconv.Itoa(out.code)).Inc()
		if r.Method == http.MethodPost {
			p.logger.Info("form answered", "page", name, "user", v.user.Name, "code", out.code, "trace_id", v.trace, "path", r.URL.Path)
		}
	})
}

// answer remembers the status.
type answer struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) {
	a.code = code
	a.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// visit is one request of a person.
type visit struct {
	portal *Portal
	w      *answer
	r      *http.Request
	page   string
	user   User
	trace  string // of what this click causes
}

// errAnswered says that the request is answered already.
var errAnswered = errors.New("answered")

// failure is an error that a person is told.
type failure struct {
	status int
	detail string
}

func (f *failure) Error() string { return f.detail }

func fail(status int, detail string) error { return &failure{status, detail} }

// enter finds out who it is, and sends those away who may not use the page.
func (v *visit) enter(who access) error {
	known := v.identify()
	switch {
	case v.portal.users == nil && !loopback.Asked(v.r):
		// A page of another site whose name points at this machine could act for whoever looks at it.
		return fail(http.StatusMisdirectedRequest, "Without a login the portal answers under 127.0.0.1 and localhost only. Name who may log in with --portal-users.")
	case who == open || known && (who == see || v.user.Role == RoleOperator):
		return nil
	case known:
		return fail(http.StatusForbidden, "Your role is viewer: you see everything, and change nothing.")
	case v.r.Method == http.MethodGet:
		v.w.Header().Set("Location", "/login?next="+url.QueryEscape(v.r.URL.RequestURI()))
		v.w.WriteHeader(http.StatusSeeOther)
		return errAnswered
	}
	return fail(http.StatusUnauthorized, "Your session has ended, so nothing was done. Log in and try again.")
}

// identify finds the user by the session's cookie. Where no login is asked for it is the operator of this machine.
func (v *visit) identify() bool {
	if v.portal.users == nil {
		v.user = User{Name: "local", Role: RoleOperator}
		return true
	}
	cookie, err := v.r.Cookie(v.cookieName())
	if err != nil {
		return false
	}
	var known bool
	v.user, known = v.portal.sessions.user(cookie.Value, v.byItself())
	return known
}

// byItself tells whether the page makes this request, for a chart, for a part of it or for its stream, and not the person.
func (v *visit) byItself() bool {
	accept := v.r.Header.Get("Accept")
	return v.r.Header.Get("HX-Request") == "true" || accept == "application/json" || accept == "text/event-stream"
}

// redirect sends the browser to another page of the portal.
func (v *visit) redirect(path string) error {
	v.w.Header().Set("Location", path)
	v.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// form returns a field of the form, without spaces around it.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }

// pageTime bounds all that a page waits for, beginning with the form and with a place to read the log. The server's WriteTimeout, which
// counts from the request's head, leaves it ten seconds more to be sent: a page that took too long says so.
const pageTime = 50 * time.Second

// bounded ends the context of a page's request after a while.
func bounded(d time.Duration, serve func(*visit) error) func(*visit) error {
	return func(v *visit) error {
		ctx, cancel := v.within(d)
		defer cancel()
		v.r = v.r.WithContext(ctx)
		return serve(v)
	}
}

// within bounds what a part of a page waits for.
func (v *visit) within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(v.r.Context(), d)
}

// reading waits for one of the few places of those who read the log.
func (p *Portal) reading(v *visit) (release func(), err error) {
	ctx, cancel := v.within(20 * time.Second)
	defer cancel()
	if p.reads.Acquire(ctx, 1) != nil {
		return nil, fail(http.StatusServiceUnavailable, "Too many pages read the log now. Try again in a moment.")
	}
	return func() { p.reads.Release(1) }, nil
}
