package portal

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fieldlog/fieldlog/internal/products"
)

func twoUsers() string {
	return "# people\nada:operator:" + NewHash("correct horse").String() + "\n\nvic:viewer:" + NewHash("battery staple").String() + "\n"
}

// login returns the session's cookie.
func (s *stand) login(name, password string) *http.Cookie {
	s.t.Helper()
	w := s.send(http.MethodPost, "/login", url.Values{"name": {name}, "password": {password}, "next": {"/clients"}})
	cookies := w.Result().Cookies()
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/clients" || len(cookies) != 1 {
		s.t.Fatalf("got %d to %q with %v", w.Code, w.Header().Get("Location"), cookies)
	}
	return cookies[0]
}

func with(c *http.Cookie) func(*http.Request) { return func(r *http.Request) { r.AddCookie(c) } }

func TestRoles(t *testing.T) {
	s := newStand(t, twoUsers())
	s.withOrder()
	if w := s.send(http.MethodGet, "/orders?status=ready", nil); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/login?next=%2Forders%3Fstatus%3Dready" {
		t.Errorf("got %d to %q for a stranger", w.Code, w.Header().Get("Location"))
	}
	for _, path := range []string{"/orders", "/orders/o1/retry", "/letters/discard"} {
		if w := s.send(http.MethodPost, path, orderOf(nil)); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: got %d for a stranger, want 401", path, w.Code)
		}
	}
	ada, vic := s.login("ada", "correct horse"), s.login("vic", "battery staple")
	if !ada.HttpOnly || ada.SameSite != http.SameSiteStrictMode || ada.Secure || ada.Path != "/" {
		t.Errorf("got cookie %+v", ada)
	}
	page := s.send(http.MethodGet, "/clients/cliente02", nil, with(ada)).Body.String()
	if !strings.Contains(page, `action="/orders/o1/retry"`) || !strings.Contains(page, "ada") {
		t.Errorf("an operator gets no buttons:\n%s", page)
	}
	for _, path := range []string{"/orders", "/clients/cliente02", "/operations", "/letters"} {
		w := s.send(http.MethodGet, path, nil, with(vic))
		if body := w.Body.String(); w.Code != http.StatusOK || strings.Count(body, `method="post"`) != 1 || strings.Contains(body, "Order a module") {
			t.Errorf("%s: a viewer gets %d, with more forms than logging out:\n%s", path, w.Code, body)
		}
	}
	for _, path := range []string{"/orders", "/orders/o1/change", "/orders/o1/cancel", "/orders/o1/retry", "/orders/o1/abandon", "/letters/redrive", "/letters/discard"} {
		if w := s.send(http.MethodPost, path, orderOf(nil), with(vic)); w.Code != http.StatusForbidden {
			t.Errorf("%s: got %d for a viewer, want 403", path, w.Code)
		}
	}
	for _, r := range s.asked {
		if r.Method != http.MethodGet {
			t.Errorf("the gateway was sent %s %s", r.Method, r.URL)
		}
	}
	if len(s.chosen) != 0 {
		t.Errorf("got %v decided", s.chosen)
	}
	s.send(http.MethodPost, "/logout", nil, with(ada))
	if w := s.send(http.MethodGet, "/orders", nil, with(ada)); w.Code != http.StatusSeeOther {
		t.Errorf("got %d after logging out", w.Code)
	}
}

func TestLoginRefused(t *testing.T) {
	s := newStand(t, twoUsers())
	now := time.Now()
	s.portal.attempts.now = func() time.Time { return now }
	f := func(name, password string, want int) {
		t.Helper()
		w := s.send(http.MethodPost, "/login", url.Values{"name": {name}, "password": {password}})
		if w.Code != want || len(w.Result().Cookies()) > 0 && want != http.StatusSeeOther {
			t.Errorf("%s: got %d, want %d", name, w.Code, want)
		}
	}
	for range attemptBurst - 1 {
		f("ada", "wrong", http.StatusUnauthorized)
	}
	f("nobody", "correct horse", http.StatusUnauthorized)
	f("ada", "correct horse", http.StatusTooManyRequests) // from this address there were five
	f("vic", "battery staple", http.StatusTooManyRequests)
	now = now.Add(attemptEvery)
	f("ada", "correct horse", http.StatusSeeOther)
	for outcome, want := range map[string]float64{loginOK: 1, loginWrong: attemptBurst, loginThrottled: 2} {
		if got := testutil.ToFloat64(s.portal.metrics.logins.WithLabelValues(outcome)); got != want {
			t.Errorf("got %v logins %s, want %v", got, outcome, want)
		}
	}
	if got := testutil.ToFloat64(s.portal.metrics.sessions); got != 1 {
		t.Errorf("got %v sessions, want 1", got)
	}
}

func TestSessions(t *testing.T) {
	s := newSessions(time.Minute, time.Hour, 2)
	now := time.Now()
	s.now = func() time.Time { return now }
	f := func(id string, want bool) {
		t.Helper()
		if _, got := s.user(id, false); got != want {
			t.Errorf("got %v at %s, want %v", got, now, want)
		}
	}
	a := s.begin(User{Name: "a"})
	for range 61 { // used, it lives until its age
		f(a, true)
		now = now.Add(59 * time.Second)
	}
	now = now.Add(2 * time.Second)
	f(a, false)
	b := s.begin(User{Name: "b"})
	now = now.Add(61 * time.Second)
	f(b, false) // unused
	c := s.begin(User{})
	now = now.Add(time.Second)
	d := s.begin(User{})
	e := s.begin(User{}) // one too many: the one that was not used for longest goes
	f(c, false)
	f(d, true)
	f(e, true)
	if len(s.open) != 2 {
		t.Errorf("got %d sessions, want 2", len(s.open))
	}
}

// TestThrottledLeavesNothing posts more names than are remembered from one address: what is blocked stays blocked.
func TestThrottledLeavesNothing(t *testing.T) {
	a, now := newAttempts(), time.Now()
	a.now = func() time.Time { return now }
	for range attemptBurst {
		a.allowed("from victim", "name ada")
	}
	for i := range 2 * maxAttempts {
		if got, want := a.allowed("from attacker", "name "+strconv.Itoa(i)), i < attemptBurst; got != want {
			t.Fatalf("attempt %d: got %v, want %v", i, got, want)
		}
	}
	if len(a.of) != 2+1+attemptBurst {
		t.Errorf("got %d remembered, want the two blocked, the name and those tried", len(a.of))
	}
	if a.allowed("from elsewhere", "name ada") {
		t.Error("the name is not blocked any more")
	}
}

// TestFullAttempts fills the memory from many addresses: new names are refused, until somebody has all tokens again.
func TestFullAttempts(t *testing.T) {
	a, now := newAttempts(), time.Now()
	a.now = func() time.Time { return now }
	for range attemptBurst {
		a.allowed("name ada")
	}
	for i := range maxAttempts - 1 {
		a.allowed("from " + strconv.Itoa(i))
	}
	if a.allowed("from elsewhere", "name vic") || len(a.of) != maxAttempts {
		t.Errorf("got a new name let in, %d remembered", len(a.of))
	}
	now = now.Add(attemptEvery)
	if !a.allowed("from elsewhere", "name vic") || len(a.of) != 3 {
		t.Errorf("got %d remembered and no room, want ada and the new ones", len(a.of))
	}
	if !a.allowed("name ada") || a.allowed("name ada") {
		t.Error("ada has not the one token that came meanwhile")
	}
}

func TestAddress(t *testing.T) {
	peer := "10.0.2.1"
	f := func(proto, want string, named ...string) {
		t.Helper()
		r := httptest.NewRequest(http.MethodPost, "/login", nil)
		r.RemoteAddr = net.JoinHostPort(peer, "1234")
		r.Header["X-Forwarded-For"] = named
		r.Header.Set("X-Forwarded-Proto", proto)
		if got := (&visit{r: r}).from(); got != want {
			t.Errorf("%q by %q: got %s, want %s", named, proto, got, want)
		}
	}
	f("https", "198.51.100.7", "203.0.113.9, 198.51.100.7")
	f("https", "198.51.100.7", "203.0.113.9", "::ffff:198.51.100.7")
	f("https", "10.0.2.1")
	f("https", "10.0.2.1", "203.0.113.9, unknown")
	f("", "10.0.2.1", "203.0.113.9") // no proxy
	peer = "::1"
	f("https", "198.51.100.7", "198.51.100.7")
	peer = "192.0.2.1"
	f("https", "192.0.2.1", "198.51.100.7") // anybody
}

// TestAbandonedTab lets a page that nobody looks at ask for what it shows: the session ends all the same.
func TestAbandonedTab(t *testing.T) {
	s := newStand(t, twoUsers())
	now := time.Now()
	s.portal.sessions.now = func() time.Time { return now }
	ada := s.login("ada", "correct horse")
	f := func(header, value, want string) {
		t.Helper()
		now = now.Add(s.portal.cfg.SessionIdle * 2 / 5)
		w := s.send(http.MethodGet, "/", nil, with(ada), func(r *http.Request) { r.Header.Set(header, value) })
		if got := w.Header().Get("Location"); got != want {
			t.Errorf("%s: %s: got sent to %q, want %q", header, value, got, want)
		}
	}
	for _, by := range [][2]string{{"HX-Request", "true"}, {"Accept", "application/json"}, {"Accept", "text/event-stream"}} {
		f(by[0], by[1], "/orders")
		f("Accept", "text/html", "/orders") // a person
		f(by[0], by[1], "/orders")
		f(by[0], by[1], "/orders")
		f(by[0], by[1], "/login?next=%2F")
		ada = s.login("ada", "correct horse")
	}
}

func TestSecureCookie(t *testing.T) {
	s := newStand(t, twoUsers())
	w := s.send(http.MethodPost, "/login", url.Values{"name": {"ada"}, "password": {"correct horse"}}, func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") })
	if c := w.Result().Cookies(); len(c) != 1 || !c[0].Secure || c[0].Name != "__Host-fieldlog" {
		t.Errorf("got %v behind TLS", c)
	}
}

func TestLocal(t *testing.T) {
	f := func(next, want string) {
		t.Helper()
		if got := local(next); got != want {
			t.Errorf("%q: got %q, want %q", next, got, want)
		}
	}
	f("/clients?x=1", "/clients?x=1")
	for _, away := range []string{"", "//evil.example", "https://evil.example/", `/\evil.example`, "javascript:alert(1)", "/a\nb", "evil"} {
		f(away, "/orders")
	}
}

func TestHash(t *testing.T) {
	h := NewHash("correct horse")
	again, err := ParseHash(h.String())
	if err != nil || !again.Is("correct horse") || again.Is("correct horsE") || NewHash("correct horse").String() == h.String() {
		t.Errorf("got %v, %v", again, err)
	}
	// From the reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1.
	known, err := ParseHash("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil || !known.Is("password") || known.Is("Password") {
		t.Errorf("got %v, %v for the reference's hash", known, err)
	}
	for _, wrong := range []string{
		"", "x", "$2y$10$abc", strings.Replace(h.String(), "argon2id", "argon2i", 1), strings.Replace(h.String(), "v=19", "v=16", 1),
		strings.Replace(h.String(), "m=19456", "m=99999999", 1), strings.Replace(h.String(), "t=2", "t=0", 1), h.String() + "!", h.String()[:60],
	} {
		if _, err := ParseHash(wrong); err == nil {
			t.Errorf("%q: got no error", wrong)
		}
	}
}

func TestNobodyCostsAsMuch(t *testing.T) {
	const dear = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc" // of "password"
	h := newStand(t, twoUsers()+"eve:viewer:"+dear+"\n").portal.nobody
	if h.memory != 65536 || h.time != 2 || h.threads != 1 || len(h.sum) != 32 || h.Is("password") {
		t.Errorf("got %+v, want what eve's costs, without her password", h)
	}
}

func TestReadUsers(t *testing.T) {
	hash := NewHash("12345678").String()
	f := func(text, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "users")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadUsers(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	f("", "names nobody")
	f("ada:operator\n", "line 1")
	f("# x\nada:root:"+hash, "line 2")
	f("ada:viewer:"+hash+"\nada:operator:"+hash, "twice")
	f("ada:viewer:plain", "argon2id")
	if _, err := ReadUsers(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "--portal-users") {
		t.Errorf("got %v, want one that names the flag", err)
	}
}

func TestValidate(t *testing.T) {
	catalogue, err := products.Default()
	if err != nil {
		t.Fatal(err)
	}
	f := func(listen, users, gateway, want string) {
		t.Helper()
		err := Config{Listen: listen, Users: users, Gateway: gateway, Products: catalogue}.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", listen, err, want)
		}
	}
	f("", "", "http://127.0.0.1:8080", "")
	f("localhost:0", "", "http://127.0.0.1:8080", "")
	f("[::1]:8000", "", "http://127.0.0.1:8080", "")
	f(":8000", "users", "http://127.0.0.1:8080", "")
	f(":8000", "", "http://127.0.0.1:8080", "--portal-users")
	f("192.0.2.1:8000", "", "http://127.0.0.1:8080", "--portal-users")
	f("8000", "", "http://127.0.0.1:8080", "--portal-listen")
	f("127.0.0.1:0", "", "gateway:8080", "--gateway")
}
