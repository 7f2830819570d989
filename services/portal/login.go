package portal

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// What became of an attempt to log in.
const (
	loginOK        = "ok"
	loginWrong     = "wrong"
	loginThrottled = "throttled"
	loginBusy      = "busy"
)

// secure tells whether the browser came over TLS, to us or to a proxy before us.
func (v *visit) secure() bool { return v.r.TLS != nil || v.proxied() }

// proxied tells whether a proxy that speaks TLS is before us. It is believed: see docs/operations.md.
func (v *visit) proxied() bool {
	return strings.EqualFold(v.r.Header.Get("X-Forwarded-Proto"), "https")
}

// from returns the address of the browser: behind a proxy on this machine or a private network the one that the proxy itself saw, which is
// the last it names.
func (v *visit) from() string {
	host, _, _ := net.SplitHostPort(v.r.RemoteAddr)
	peer, err := netip.ParseAddr(host)
	named := v.r.Header.Values("X-Forwarded-For")
	if err != nil || len(named) == 0 || !v.proxied() || !peer.Unmap().IsLoopback() && !peer.Unmap().IsPrivate() {
		return host
	}
	last := named[len(named)-1]
	ip, err := netip.ParseAddr(strings.TrimSpace(last[strings.LastIndex(last, ",")+1:]))
	if err != nil {
		return host
	}
	return ip.Unmap().WithZone("").String()
}

// cookieName has a prefix over TLS with which browsers take the cookie from this host alone.
func (v *visit) cookieName() string {
	if v.secure() {
		return "__Host-fieldlog"
	}
	return "fieldlog"
}

func (v *visit) setSession(id string, seconds int) {
	http.SetCookie(v.w, &http.Cookie{
		Name: v.cookieName(), Value: id, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteStrictMode,
	})
}

type loginPage struct{ Next, Name, Wrong string }

func (p *Portal) showLogin(v *visit) error {
	if p.users == nil {
		return v.redirect("/orders")
	}
	return v.show("login", "Log in", loginPage{Next: local(v.r.URL.Query().Get("next"))})
}

// login compares a name and a password with the users' file. Attempts are slowed down by name and by address.
func (p *Portal) login(v *visit) error {
	name, password := v.form("name"), v.r.PostFormValue("password")
	if p.users == nil || len(name) > maxName || len(password) > maxPassword {
		return fail(http.StatusBadRequest, "That is no name and password of the portal.")
	}
	from := v.from()
	outcome := p.attempt(v, name, password, []string{"from " + from, "name " + name})
	p.metrics.logins.WithLabelValues(outcome).Inc()
	p.logger.Info("login", "user", name, "outcome", outcome, "from", from)
	page, status := loginPage{Next: local(v.form("next")), Name: name, Wrong: "The name or the password is wrong."}, http.StatusUnauthorized
	switch outcome {
	case loginOK:
		v.setSession(p.sessions.begin(p.users[name]), int(p.cfg.SessionAge.Seconds()))
		p.metrics.sessions.Set(float64(p.sessions.count()))
		return v.redirect(page.Next)
	case loginThrottled, loginBusy:
		v.w.Header().Set("Retry-After", "10")
		page.Wrong, status = "Too many attempts. Wait ten seconds and try again.", http.StatusTooManyRequests
	}
	return v.showAs(status, "login", "Log in", page)
}

func (p *Portal) attempt(v *visit, name, password string, keys []string) string {
	if !p.attempts.allowed(keys...) {
		return loginThrottled
	}
	if p.hashing.Acquire(v.r.Context(), 1) != nil {
		return loginBusy
	}
	defer p.hashing.Release(1)
	user, known := p.users[name]
	hash := p.nobody
	if known {
		hash = user.Hash
	}
	if right := hash.Is(password); !right || !known {
		return loginWrong
	}
	p.attempts.forgive(keys...)
	return loginOK
}

func (p *Portal) logout(v *visit) error {
	if cookie, err := v.r.Cookie(v.cookieName()); err == nil {
		p.sessions.end(cookie.Value)
		p.metrics.sessions.Set(float64(p.sessions.count()))
	}
	v.setSession("", -1)
	return v.redirect("/login")
}

// local returns the path if it is one of this site, else the first page.
func local(next string) string {
	at, err := url.Parse(next)
	if err != nil || at.Scheme != "" || at.Host != "" || !strings.HasPrefix(at.Path, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
		return "/orders"
	}
	return next
}
