package portal

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldlog/fieldlog/internal/story"
)

// slow takes all the time it is given.
type slow struct{ *stand }

func (slow) Redrive(ctx context.Context, _, _, _ string) (Outcome, error) {
	<-ctx.Done()
	return Outcome{}, ctx.Err()
}

func (slow) Tell(ctx context.Context, trace string, _ time.Time) (*story.Story, error) {
	<-ctx.Done()
	return &story.Story{Trace: trace, Notes: []string{"not all was read"}}, nil
}

// TestPageTime holds that a page answers before the server cuts it off, however long it waited for its turn.
func TestPageTime(t *testing.T) {
	s := newStand(t, "")
	s.portal.sources.Letters, s.portal.sources.Traces = slow{s}, slow{s}
	f := func(method, path string, form url.Values, status int, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			if !s.portal.reads.TryAcquire(2) {
				t.Fatal("somebody reads")
			}
			time.AfterFunc(15*time.Second, func() { s.portal.reads.Release(2) })
			begun := time.Now()
			w := s.send(method, path, form)
			if took := time.Since(begun); w.Code != status || took != pageTime || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: got %d after %s, want %d after %s that says %q:\n%s", path, w.Code, took, status, pageTime, want, w.Body)
			}
		})
	}
	f(http.MethodPost, "/letters/redrive", url.Values{"letter": {"l1"}, "why": {"fixed"}}, http.StatusBadGateway, "deadline exceeded")
	f(http.MethodGet, "/trace/4bf92f35", nil, http.StatusOK, `href="/trace/4bf92f35?days=1"`)
}
