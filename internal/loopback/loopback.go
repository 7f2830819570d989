// Package loopback protects HTTP servers that ask nobody who he is, because only this machine reaches them.
//
// A browser on this machine reaches them too, and shows pages of others. Such a page can send a request here and not read the
// answer, or have a name of its own point here and then read everything. Promises:
//
//   - [Guard] refuses what a page of another origin sends to change something. Programs are let through.
//   - On a loopback listener it refuses requests under a name that others can let point here.
package loopback

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// Is tells whether a host is this machine: localhost, or a loopback address.
func Is(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// containers are the names that containers have for the machine they run on. Nobody can register them: internal is no public domain.
var containers = []string{"host.docker.internal", "host.containers.internal"}

// Asked tells whether a request was sent to this machine by a name or address that always means it. One that tells no host, as old
// clients do and no browser does, was.
func Asked(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return r.Host == "" || Is(strings.Trim(host, "[]")) || slices.Contains(containers, strings.ToLower(host))
}

// Guard lets next answer only what no page of another origin can have sent to change or to read something.
func Guard(listener net.Listener, next http.Handler) http.Handler {
	return Names(listener, http.NewCrossOriginProtection().Handler(next))
}

// Names is the part of [Guard] that looks at the name, for a handler that looks at the origin itself.
func Names(listener net.Listener, next http.Handler) http.Handler {
	host, _, err := net.SplitHostPort(listener.Addr().String())
	if err != nil || !Is(host) {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !Asked(r) {
			http.Error(w, "on loopback only requests to 127.0.0.1 or localhost are answered", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}
