package provisioner

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestWhatWasNotedBeforeAStopIsAppended stops an owner between an outcome and its commit: nobody shall have to look for it.
func TestWhatWasNotedBeforeAStopIsAppended(t *testing.T) {
	s, first := serviceWithAnOrder(t)
	o := takeOver(t, s, first.Partition)
	o.note(o.requested("c", time.Now())...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := o.run(ctx); err != nil {
		t.Fatal(err)
	}
	o.close()
	next := takeOver(t, s, first.Partition)
	defer next.close()
	if !next.state.Order("c", "o0").Progress().Requested {
		t.Error("the next owner does not know what was noted")
	}
}

func TestTurns(t *testing.T) {
	begin := time.Now()
	turns := newTurns()
	for _, client := range []string{"b", "a", "b"} {
		turns.call(client)
	}
	turns.callAt("c", begin.Add(time.Minute))
	turns.callAt("c", begin.Add(time.Hour)) // it is called sooner
	turns.callAt("d", begin.Add(time.Hour))
	turns.callAt("d", begin.Add(time.Second))
	f := func(now time.Duration, want string) {
		t.Helper()
		turns.callDue(begin.Add(now))
		var called []string
		for len(turns.heard.clients) > 0 {
			called = append(called, turns.heard.leave())
		}
		if got := fmt.Sprint(called); got != want {
			t.Errorf("after %s: got %s, want %s", now, got, want)
		}
	}
	f(0, "[b a]")
	f(time.Second, "[d]")
	f(2*time.Minute, "[c]")
	turns.callAt("c", begin.Add(time.Hour)) // once more
	f(2*time.Hour, "[d c]")
	if len(turns.later)+len(turns.dates)+len(turns.heard.in) > 0 {
		t.Errorf("it keeps %v, %v, %v", turns.later, turns.dates, turns.heard.in)
	}
}
