package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// authenticate checks user and password, from the headers of ClickHouse, the URL, or HTTP's own authentication.
func (h *Handler) authenticate(r *http.Request) error {
	if h.cfg.Password == "" {
		return nil
	}
	user, password, given := r.BasicAuth()
	if q := r.URL.Query(); q.Has("user") || q.Has("password") {
		user, password, given = q.Get("user"), q.Get("password"), true
	}
	if r.Header.Get("X-ClickHouse-User") != "" || r.Header.Get("X-ClickHouse-Key") != "" {
		user, password, given = r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key"), true
	}
	if !given {
		return &failure{http.StatusUnauthorized, 194, "a password is required. (REQUIRED_PASSWORD)"}
	}
	if user == "" {
		user = "default"
	}
	if sameUser, samePassword := same(user, h.cfg.User), same(password, h.cfg.Password); !sameUser || !samePassword {
		return &failure{http.StatusForbidden, 516, "user or password is wrong. (AUTHENTICATION_FAILED)"}
	}
	return nil
}

// same compares in constant time, whatever the lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
