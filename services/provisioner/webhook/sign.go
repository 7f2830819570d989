package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// The headers of a signed request.
const (
	HeaderTimestamp = "Fieldlog-Timestamp"
	HeaderSignature = "Fieldlog-Signature"
)

func sign(secret []byte, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	_, _ = mac.Write([]byte(timestamp + ".")) // a hash does not fail
	_, _ = mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

var (
	// ErrSignature says that a request was not signed with the secret, or changed on its way.
	ErrSignature = errors.New("the signature does not fit")
	// ErrTimestamp says that a request is older or newer than it may be: it may have been sent before.
	ErrTimestamp = errors.New("the timestamp is too far from now")
)

// Verify tells a receiver whether a request is the provisioner's, and not older than a given age. Nothing here calls it: it is the
// reference for receivers, who may use it or write the same in their language.
func Verify(h http.Header, body, secret []byte, now time.Time, age time.Duration) error {
	timestamp := h.Get(HeaderTimestamp)
	if !hmac.Equal([]byte(sign(secret, timestamp, body)), []byte(h.Get(HeaderSignature))) {
		return ErrSignature
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > age {
		return ErrTimestamp
	}
	return nil
}
