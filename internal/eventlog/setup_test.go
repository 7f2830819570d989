package eventlog_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// TestSetupBesideAnother sets up a log whose registry refuses each schema, and a compatibility level, because another process
// brings it at the same moment, as Apicurio does.
func TestSetupBesideAnother(t *testing.T) {
	cluster := eventlogtest.Start(t)
	target, err := url.Parse(cluster.Config().Registry)
	if err != nil {
		t.Fatal(err)
	}
	var refused, refusedLevel atomic.Int64
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.ModifyResponse = func(r *http.Response) error {
		if r.Request.Method == http.MethodPost && strings.HasSuffix(r.Request.URL.Path, "/versions") {
			refused.Add(1)
			r.StatusCode = http.StatusConflict // the other one was first
		}
		if r.Request.Method == http.MethodPut && refusedLevel.Add(1) == 1 {
			r.StatusCode = http.StatusConflict
		}
		return nil
	}
	registry := httptest.NewServer(forward)
	defer registry.Close()
	cfg := cluster.Config()
	cfg.Registry = registry.URL
	log, err := eventlog.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Append(t.Context(), report(1)); err != nil || refused.Load() == 0 || refusedLevel.Load() < 2 {
		t.Errorf("append: %v, after %d refusals of schemas and %d attempts to set a level", err, refused.Load(), refusedLevel.Load())
	}
}

// TestSetupRefusesAnOrdersTopicOfAnotherCount sets up a log beside a topic that somebody made with another count: where a client's
// partitions have different numbers, nobody owns them alone. Other topics may have any count.
func TestSetupRefusesAnOrdersTopicOfAnotherCount(t *testing.T) {
	for _, spec := range eventlog.Topics() {
		t.Run(string(spec.Name), func(t *testing.T) {
			cluster := eventlogtest.Start(t)
			name := cluster.Name(string(spec.Name))
			if _, err := cluster.Admin(t).CreateTopic(t.Context(), 5, 1, nil, name); err != nil {
				t.Fatal(err)
			}
			log, err := eventlog.New(cluster.Config(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			err = log.Setup(t.Context())
			if !spec.Together {
				if err != nil {
					t.Errorf("got %v, want a topic that goes with no other to have any count", err)
				}
				return
			}
			want := fmt.Sprintf("topic %q has 5 partitions and must have %d", name, eventlog.OrderPartitions)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "delete it if it is empty") {
				t.Errorf("got %v, want %q and what to do", err, want)
			}
		})
	}
}
