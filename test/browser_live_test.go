//go:build browser

package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// between is what stands between a browser and the portal. It can refuse what pages fetch by themselves, and send them to log in.
type between struct {
	*httptest.Server
	refuses atomic.Bool
	refused atomic.Int64 // how often it did
	ended   atomic.Bool  // the session
}

func betweenBrowserAnd(t *testing.T, portal string) *between {
	t.Helper()
	at, err := url.Parse(portal)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{}
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(at) }, FlushInterval: -1}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		itself := r.Header.Get("HX-Request") != ""
		switch {
		case b.refuses.Load() && (itself || r.URL.Path == "/events/live"):
			b.refused.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
		case b.ended.Load() && r.URL.Path == "/login":
			fmt.Fprint(w, "<!doctype html><title>Log in</title>")
		case b.ended.Load() && itself:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		default:
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { // streams of the browser are open
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

// ordered places an order and waits until the gateway knows that it is ready.
func (s *system) ordered(id string) {
	s.t.Helper()
	status, told, err := decided(http.MethodPost, s.Gateway+"/v1/orders", orderBody("plant", id, "n-"+id, "Product-A"))
	if err != nil || status != http.StatusCreated {
		s.t.Fatalf("order %s: got %d %+v, %v", id, status, told, err)
	}
	s.until("order "+id+" is ready", func() bool {
		resp, err := http.Get(s.Gateway + "/v1/orders/" + id + "?client=plant")
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		var o struct{ Status string }
		return json.NewDecoder(resp.Body).Decode(&o) == nil && o.Status == "ready"
	})
}

// shows waits until a page says that an order is ready.
func (b *browser) shows(id string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.querySelector('#card-%s .pill')?.textContent === 'ready'`, id))
}

// TestPortalKeepsUp holds what live pages promise to those who look at them.
func TestPortalKeepsUp(t *testing.T) {
	s := up(t, t.TempDir(), "--site-pace", "100ms")
	way := betweenBrowserAnd(t, s.Portal)
	b := look(t, way.URL, 1280, 800, false)
	s.ordered("first")
	b.open("/clients/plant")
	b.shows("first")
	b.missesNothing(s, way)
	b.keepsTheFocus(s)
	b.waitsForHands(s)
	b.restsUnseen(s)
	way.ended.Store(true)
	s.ordered("unseen")
	b.until(`document.querySelector('#late').textContent.includes('session has ended')`)
	way.ended.Store(false)
	b.followsOn(s, way)
}

// missesNothing lets what the page fetches fail until nothing changes any more.
func (b *browser) missesNothing(s *system, way *between) {
	b.t.Helper()
	way.refuses.Store(true)
	s.ordered("second")
	before := way.refused.Load()
	s.until("the page looks for what is new", func() bool { return way.refused.Load() > before })
	b.until(`document.querySelector('#late').textContent.includes('may be old')`)
	way.refuses.Store(false)
	b.shows("second")
	b.until(`document.querySelector('#timeline').textContent.includes('n-second') && document.querySelector('#late').textContent === ''`)
}

// keepsTheFocus goes to a link, whose list is replaced.
func (b *browser) keepsTheFocus(s *system) {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS(`#card-first a.button`)))
	run(b, chromedp.Evaluate[bool](`document.querySelector('#card-first').old = true`))
	s.ordered("third")
	b.shows("third")
	b.until(`document.querySelector('[sse-swap=said]').textContent.includes('n-third is ready')`) // for who hears the page
	if run(b, chromedp.Evaluate[bool](`document.querySelector('#card-first').old === true`)) {
		b.t.Error("the list was not replaced")
	}
	if got := run(b, chromedp.Evaluate[string](`document.activeElement.ariaLabel ?? document.activeElement.tagName`)); got != "Change first" {
		b.t.Errorf("the focus is on %q after the list was replaced, want the same link", got)
	}
}

// waitsForHands opens the question why an order is cancelled, and holds the mouse down: the list waits, and catches up.
func (b *browser) waitsForHands(s *system) {
	b.t.Helper()
	f := func(id string, begin, end func()) {
		b.t.Helper()
		begin()
		s.ordered(id)
		b.until(fmt.Sprintf(`document.querySelector('#timeline').textContent.includes('n-%s') && document.querySelector('#client-orders').dataset.stale === '1'`, id))
		if run(b, chromedp.Evaluate[bool](fmt.Sprintf(`document.querySelector('#card-%s') !== null`, id))) {
			b.t.Errorf("the list was replaced with order %s under the hands of somebody", id)
		}
		b.until(`document.querySelector('#late').textContent.includes('not shown yet')`)
		end()
		b.shows(id)
		b.until(`document.querySelector('#late').textContent === ''`)
	}
	ask := func() { b.press("#cancel-first summary") }
	f("fourth", ask, ask)
	run(b, chromedp.Evaluate[bool](`window.scrollTo(0, 0) === undefined`))
	x := run(b, chromedp.Evaluate[float64](`document.querySelector('#client-orders h2').getBoundingClientRect().left + 5`))
	y := run(b, chromedp.Evaluate[float64](`document.querySelector('#client-orders h2').getBoundingClientRect().top + 5`))
	mouse := func(what input.DispatchMouseEventType) func() {
		return func() { b.do(chromedp.MouseEvent(what, x, y, chromedp.ButtonLeft)) }
	}
	f("pressed", mouse(input.DispatchMouseEventTypeMousePressed), mouse(input.DispatchMouseEventTypeMouseReleased))
}

// seen lets the page believe that somebody sees it, or nobody does.
func (b *browser) seen(is bool) {
	b.t.Helper()
	run(b, chromedp.Evaluate[bool](fmt.Sprintf(`Object.defineProperty(document, 'hidden', { configurable: true, value: %v }) && document.dispatchEvent(new Event('visibilitychange'))`, !is)))
}

// restsUnseen hides the page, which then has no stream, and wants what happened meanwhile when it is seen again.
func (b *browser) restsUnseen(s *system) {
	b.t.Helper()
	streams := func(want float64) {
		b.t.Helper()
		s.until(fmt.Sprintf("the portal has %v streams", want), func() bool { return s.measure()["fieldlog_portal_streams"] == want })
	}
	for round := range 2 {
		streams(1)
		b.seen(false)
		streams(0)
		id := fmt.Sprint("unseen-", round)
		s.ordered(id)
		b.seen(true)
		b.shows(id)
		b.until(`document.querySelector('#late').textContent === ''`)
	}
	streams(1)
}

// followsOn loses the connection while it follows a topic, and wants what came meanwhile, once.
func (b *browser) followsOn(s *system, way *between) {
	b.t.Helper()
	told := func(id string) {
		b.t.Helper()
		b.until(fmt.Sprintf(`document.querySelector('#followed').textContent.includes('n-%s')`, id))
	}
	b.open("/events?topic=orders&from=end")
	b.press("[data-follow]")
	b.until(`document.querySelector('#follow-state').textContent.startsWith('Waiting')`)
	s.ordered("fifth")
	told("fifth")
	way.refuses.Store(true)
	before := way.refused.Load()
	way.CloseClientConnections()
	b.until(`document.querySelector('#follow-state').textContent.includes('lost')`)
	s.until("the browser asks again", func() bool { return way.refused.Load() > before })
	s.ordered("sixth")
	way.refuses.Store(false)
	told("sixth")
	b.until(`!document.querySelector('#follow-state').textContent.includes('lost')`)
	b.seen(false)
	s.ordered("seventh")
	b.seen(true)
	told("seventh")
	if got := run(b, chromedp.Evaluate[string](`document.querySelector('#followed').textContent`)); strings.Count(got, `"namespace": "n-sixth"`) != 1 {
		b.t.Errorf("the order that came while the connection was lost was told another number of times than once:\n%s", got)
	}
}
