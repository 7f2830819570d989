package run_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fieldlog/fieldlog/internal/run"
)

// journal notes what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) part(name string, ready, drain time.Duration) run.Part {
	return run.Part{
		Name: name,
		Run: func(ctx context.Context) error {
			j.note("start " + name)
			<-ctx.Done()
			time.Sleep(drain)
			j.note("end " + name)
			return nil
		},
		Ready: func(context.Context) error {
			time.Sleep(ready)
			j.note("ready " + name)
			return nil
		},
		Settle: func(context.Context) { j.note("settle " + name) },
		Drain:  time.Minute,
	}
}

var quiet = slog.New(slog.DiscardHandler)

func TestTogetherStartsAndEndsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var j journal
		if err := run.Together(ctx, quiet, j.part("engines", time.Second, time.Second), j.part("gateway", time.Second, 3*time.Second)); err != nil {
			t.Fatal(err)
		}
		want := []string{
			"start engines", "ready engines", "start gateway", "ready gateway",
			"settle gateway", "end gateway", "settle engines", "end engines",
		}
		if !slices.Equal(j.lines, want) {
			t.Errorf("got %q, want %q", j.lines, want)
		}
	})
}

func TestTogetherEndsAllWhenOneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		broken := errors.New("disk is gone")
		failing := run.Part{Name: "analytics", Run: func(context.Context) error { time.Sleep(time.Second); return broken }}
		err := run.Together(t.Context(), quiet, j.part("engines", 0, 0), failing, j.part("gateway", 0, 0))
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "run analytics") {
			t.Errorf("got %v, want the failure of analytics", err)
		}
		if last := j.lines[len(j.lines)-1]; last != "end engines" {
			t.Errorf("got %q last, want the engines to end", last)
		}
	})
}

func TestTogetherEndsWhatStartedWhenAPartIsNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		second := j.part("gateway", 0, 0)
		second.Ready = func(context.Context) error { return errors.New("port is taken") }
		err := run.Together(t.Context(), quiet, j.part("engines", 0, 0), second, j.part("fleet", 0, 0))
		if err == nil || !strings.Contains(err.Error(), "start gateway: port is taken") {
			t.Errorf("got %v, want why the gateway did not start", err)
		}
		if slices.Contains(j.lines, "start fleet") || !slices.Contains(j.lines, "end engines") {
			t.Errorf("got %q, want no fleet and an end of the engines", j.lines)
		}
	})
}

func TestTogetherCanEndWhileAPartGetsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := run.Part{
			Name:  "engines",
			Run:   func(ctx context.Context) error { <-ctx.Done(); return nil },
			Ready: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		}
		if err := run.Together(ctx, quiet, slow); err != nil {
			t.Errorf("got %v, want a clean end", err)
		}
	})
}

func TestTogetherLeavesAPartThatDoesNotDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		release := make(chan struct{})
		stuck := run.Part{Name: "gateway", Drain: 5 * time.Second, Run: func(context.Context) error { <-release; return nil }}
		var j journal
		begun := time.Now()
		err := run.Together(ctx, quiet, j.part("engines", 0, 0), stuck)
		if err == nil || !strings.Contains(err.Error(), "did not drain within 5s") {
			t.Errorf("got %v, want which part is stuck", err)
		}
		if took := time.Since(begun); took != 6*time.Second {
			t.Errorf("got %s until the end, want 1 s to run and 5 s to drain", took)
		}
		if !slices.Contains(j.lines, "end engines") {
			t.Errorf("got %q, want the engines to end all the same", j.lines)
		}
		close(release)
	})
}

func TestTogetherLogsHowLongPartsTook(t *testing.T) {
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var j journal
	if err := run.Together(ctx, slog.New(slog.NewTextHandler(&out, nil)), j.part("engines", 0, 0)); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), `msg="part ended" part=engines`) {
		t.Errorf("got %q", out.String())
	}
}

func TestSignals(t *testing.T) {
	codes := make(chan int, 1)
	ctx, stop := run.Signals(t.Context(), func(code int) { codes <- code })
	defer stop()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := <-codes; code != 130 {
		t.Errorf("got exit code %d, want 130", code)
	}
}
