package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
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
