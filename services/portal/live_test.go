package portal

import (
	"net/http"
	"strings"
	"testing"
)

// TestOneFetch holds that a page which follows what happens is fetched once with each change, however many of its lists show it.
func TestOneFetch(t *testing.T) {
	s := newStand(t, "")
	s.withOrder()
	f := func(path, trigger string, lists ...string) {
		t.Helper()
		page := s.send(http.MethodGet, path, nil).Body.String()
		if strings.Count(page, "hx-get=") != 1 || !strings.Contains(page, `hx-get="`+path+`" hx-trigger="`+trigger+`" hx-swap="none"`) {
			t.Errorf("%s: want one element that fetches it on %q:\n%s", path, trigger, page)
		}
		if got := strings.Count(page, "hx-swap-oob="); got != len(lists) {
			t.Errorf("%s: got %d lists, want %s", path, got, lists)
		}
		for _, list := range lists {
			if _, section, _ := strings.Cut(page, `<section id="`+list+`"`); !strings.Contains(strings.SplitN(section, ">", 2)[0], `hx-swap-oob="innerHTML"`) {
				t.Errorf("%s: list %s is not replaced:\n%s", path, list, page)
			}
		}
	}
	f("/orders", "sse:change, refresh", "orders")
	f("/clients", "sse:change, refresh", "clients")
	f("/clients/cliente02", "sse:change, refresh", "client-orders", "timeline")
	f("/operations", "sse:change, refresh, every 10s", "busy")
}
