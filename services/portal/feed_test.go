package portal

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	f := func(stream, want, wrong string) {
		t.Helper()
		var got []string
		var failed error
		for m, err := range messages(strings.NewReader(stream)) {
			if failed = err; err == nil {
				got = append(got, m.id+"="+string(m.data))
			}
		}
		if all := strings.Join(got, " "); all != want || (failed == nil) != (wrong == "") || failed != nil && failed.Error() != wrong {
			t.Errorf("%q: got %q and error %v, want %q and %q", stream, all, failed, want, wrong)
		}
	}
	f("", "", "")
	f(": open\n\n", "=", "")
	f("id: 7\n\nid: 8\ndata: a\n\ndata:b\n\n", "7= 8=a =b", "")
	f("event: client\ndata: a\n\ndata: half", "=a", "")
	f("data: a\n\nevent: problem\ndata: {\"problem\":{\"status\":503,\"detail\":\"no broker\"}}\n\ndata: b\n\n", "=a", "no broker")
	f("event: problem\ndata: <html>\n\n", "", "the gateway broke off, and does not say why")
	f("data: "+strings.Repeat("x", maxMessage)+"\n\n", "", "follow the gateway: bufio.Scanner: token too long")
	var silent *unreachable
	for _, err := range messages(io.MultiReader(strings.NewReader("data: a\n"), broken{})) {
		if !errors.As(err, &silent) {
			t.Errorf("got %v for a stream that was cut", err)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// follows asks for a topic's stream, and returns the answer as far as it comes.
func (s *stand) follows(query, last string) (status int, kind, text string) {
	s.t.Helper()
	server := httptest.NewServer(s.portal)
	defer server.Close()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, server.URL+"/events/live?topic=orders"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	res, err := server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var all strings.Builder
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		fmt.Fprintln(&all, lines.Text())
	}
	return res.StatusCode, res.Header.Get("Content-Type"), all.String()
}

// TestFollow holds that a browser which connects again goes on where it was, and that it is told why nothing comes.
func TestFollow(t *testing.T) {
	s := newStand(t, "")
	f := func(query, last, want string) {
		t.Helper()
		s.on("GET /v1/topics/orders/events", 200, "id: a:0=1\n\n:\n\nid: a:0=2\ndata: {\"topic\":\"orders\",\"key\":\"<b>\",\"offset\":1,\"event\":{\"a\":1}}\n\n"+
			"event: problem\ndata: {\"problem\":{\"status\":503,\"detail\":\"no broker\"}}\n\n")
		status, kind, text := s.follows(query, last)
		if status != http.StatusOK || kind != "text/event-stream" {
			t.Fatalf("got %d %s %s", status, kind, text)
		}
		got := s.asked[len(s.asked)-1]
		if id := got.Header.Get("Last-Event-ID"); id != want || got.URL.Query().Get("key") != "k" {
			t.Errorf("%s %q: the gateway was asked %s behind %q, want %q", query, last, got.URL, id, want)
		}
		for _, part := range []string{"id: a:0=1\nevent: begin\n", "\n: still here\n", "id: a:0=2\nevent: record\ndata: <article", "&lt;b&gt;", "<pre tabindex=\"0\">{\ndata:   &#34;a&#34;: 1\ndata: }</pre>", "event: problem\ndata: no broker\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("got no %q in\n%s", part, text)
			}
		}
		if strings.Count(text, "event: record") != 1 {
			t.Errorf("got more than one record in\n%s", text)
		}
	}
	f("&key=k", "", "")
	f("&key=k", "a:0=2", "a:0=2")
	f("&key=k&after=a:0=2", "", "a:0=2")
	f("&key=k&after=a:0=2", "a:0=3", "a:0=3")
	for status, detail := range map[int]string{http.StatusBadRequest: "partition=abc is no partition", http.StatusTooManyRequests: "too many readers at once"} {
		s.on("GET /v1/topics/orders/events", status, fmt.Sprintf(`{"status":%d,"detail":%q}`, status, detail))
		if got, kind, text := s.follows("&partition=abc", ""); got != status || !strings.HasPrefix(kind, "text/html") || !strings.Contains(text, detail) {
			t.Errorf("got %d %s, want %d that says %q:\n%s", got, kind, status, detail, text)
		}
	}
}
