package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestOperatorsDecide lets the command line retry and abandon orders at a gateway that is played.
func TestOperatorsDecide(t *testing.T) {
	var asked []string
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var told orderFlags
		if err := json.NewDecoder(r.Body).Decode(&told); err != nil {
			t.Error(err)
		}
		asked = append(asked, fmt.Sprint(r.Method, " ", r.URL.Path, " of ", told.Client, " because ", told.Reason, " says ", told.RequestedBy, " by ", told.Metadata.Origin, " with ", r.Header.Get("Authorization")))
		if strings.HasSuffix(r.URL.Path, "/o9/retry") {
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"status":409,"reason":"not_failing","detail":"the order is ready"}`)
			return
		}
		fmt.Fprint(w, `{"order_id":"o1","version":2}`)
	}))
	defer gateway.Close()
	f := func(code int, prints, want string, args ...string) {
		t.Helper()
		asked = nil
		got := fieldlog(t, nil, "", append([]string{"orders", "--url", gateway.URL, "--gateway-token", "a-token-of-some-length"}, args...)...)
		if got.code != code || !strings.Contains(got.stdout+got.stderr, prints) {
			t.Errorf("%q: got %+v, want code %d that prints %q", args, got, code, prints)
		}
		if all := strings.Join(asked, "\n"); all != want {
			t.Errorf("%q: the gateway was asked %q, want %q", args, all, want)
		}
	}
	const rest = " says ada by cli with Bearer a-token-of-some-length"
	f(exitOK, `{"order_id":"o1","version":2}`, "POST /v1/orders/o1/retry of c1 because it is back"+rest, "retry", "o1", "--client", "c1", "--why", "it is back", "--requested-by", "ada")
	f(exitOK, `{"order_id":"o1","version":2}`, "POST /v1/orders/o1/abandon of  because no use"+rest, "abandon", "o1", "--why", "no use", "--requested-by", "ada")
	f(exitFailure, "409: not_failing: the order is ready", "POST /v1/orders/o9/retry of  because "+rest, "retry", "o9", "--requested-by", "ada")
	f(exitUsage, "accepts 1 arg", "", "retry")
	f(exitUsage, "accepts 1 arg", "", "abandon")
}
