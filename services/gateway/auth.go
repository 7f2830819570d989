package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/loopback"
)

func hashed(tokens []string) [][32]byte {
	hashes := make([][32]byte, len(tokens))
	for i, token := range tokens {
		hashes[i] = sha256.Sum256([]byte(token))
	}
	return hashes
}

// allowed tells whether a request brings a token. Every token is compared in constant time, whatever the lengths.
func (g *Gateway) allowed(r *http.Request) bool {
	if len(g.tokens) == 0 {
		return true
	}
	given := sha256.Sum256([]byte(tokenOf(r)))
	found := 0
	for i := range g.tokens {
		found |= subtle.ConstantTimeCompare(given[:], g.tokens[i][:])
	}
	return found == 1
}

// foreign refuses what a page of another site can have sent: where no token is asked for, whoever looks at that page would be made to
// order. Programs tell neither an origin nor what fetched it, and pass.
func (g *Gateway) foreign(r *http.Request) *problem {
	switch {
	case len(g.tokens) == 0 && !loopback.Asked(r):
		return newProblem(http.StatusMisdirectedRequest, "without an access token the gateway answers under 127.0.0.1 and localhost only: set --gateway-token-file for other names")
	case g.origins.Check(r) != nil:
		return newProblem(http.StatusForbidden, "a page of another site may not send this")
	}
	return nil
}

// unread bounds the wait for the body of a request that is refused unread: the server reads some of it before it answers.
func (g *Gateway) unread(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(g.cfg.HeaderTimeout)) // not every writer has one
}

// tokenOf finds the token where HTTP clients (Bearer), InfluxDB 2 (Token) and InfluxDB 1 (a password) put it.
func tokenOf(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") || strings.EqualFold(scheme, "Token") {
		return strings.TrimSpace(token)
	}
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return r.URL.Query().Get("p")
}
