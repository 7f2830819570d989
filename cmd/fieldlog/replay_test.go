package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// interventions returns why something was to be tried again, of each one on the log.
func (c cluster) interventions(t *testing.T) (whys []string) {
	t.Helper()
	events := c.log.NewEvents()
	for r, err := range c.log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicProvisioning}) {
		if err != nil {
			t.Fatal(err)
		}
		event, err := events.Decode(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if i, is := event.(*schemas.ProvisioningIntervened); is {
			whys = append(whys, fmt.Sprint(i.Client, "/", i.OrderID, " ", i.Version, " ", i.Action, ": ", i.Why))
		}
	}
	return whys
}

// TestReplayAsks: what is done, would be done and is missing is told; what is missing is tried again only where somebody agrees.
func TestReplayAsks(t *testing.T) {
	c := newCluster(t)
	for i, state := range []schemas.ProvisioningState{schemas.ProvisioningSucceeded, schemas.ProvisioningFailed, schemas.ProvisioningAbandoned, ""} {
		id := fmt.Sprint("o", i)
		accepted := &schemas.OrderAccepted{OrderID: id, Client: "c1", Version: 1, Terms: schemas.Terms{Namespace: id, Product: "Product-A"}}
		accepted.Cause, accepted.CauseOffset, accepted.TraceID = id, int64(i), "trace-"+id
		told := []schemas.Event{accepted}
		if state != "" {
			told = append(told, &schemas.ProvisioningProgressed{OrderID: id, Client: "c1", Version: 1, State: state, Step: 1, Steps: 1, Backend: "simulated"})
		}
		for _, event := range told {
			if _, err := c.log.Append(t.Context(), event); err != nil {
				t.Fatal(err)
			}
		}
	}
	const question = "Let the provisioner try 1 orders again? [y/N] "
	f := func(stdin string, code int, says string, appends int, args ...string) {
		t.Helper()
		before := c.interventions(t)
		got := fieldlog(t, c.environment, stdin, append([]string{"replay", "orders"}, args...)...)
		if got.code != code || !strings.Contains(got.stderr, says) || strings.Contains(got.stderr, question) != strings.Contains(says, question) {
			t.Errorf("%q %q: got %+v, want code %d that says %q", args, stdin, got, code, says)
		}
		if code != exitUsage {
			var verdicts []string
			for _, o := range lines[replayed](t, got.stdout) {
				verdicts = append(verdicts, o.OrderID+" "+o.Verdict)
			}
			if told, want := strings.Join(verdicts, ", "), "o0 done, o1 would, o2 missing, o3 would"; told != want {
				t.Errorf("%q: got %q, want %q", args, told, want)
			}
		}
		if after := c.interventions(t); len(after) != len(before)+appends || appends > 0 && after[len(after)-1] != "c1/o2 1 retry: it is back" {
			t.Errorf("%q %q: got %q on the log after %q, want %d more", args, stdin, after, before, appends)
		}
	}
	f("y\n", exitOK, "", 0)
	f("y\n", exitOK, "", 0, "--dry-run")
	missing := []string{"--apply-missing", "--why", "it is back"}
	f("y\n", exitUsage, "exclude each other", 0, append([]string{"--dry-run"}, missing...)...)
	f("y\n", exitUsage, "needs --why", 0, "--apply-missing")
	for _, no := range []string{"", "\n", "n\n", "no\n", "maybe y\n", "y"} {
		f(no, exitFailure, question+"fieldlog: not confirmed: nothing was appended", 0, missing...)
	}
	f("y\n", exitOK, question+"1 orders are tried again", 1, missing...)
}

// TestReplayDoesNotAskWhereItIsToldSo is the rest: the first answer has taken what was missing out of the list.
func TestReplayDoesNotAskWhereItIsToldSo(t *testing.T) {
	c := newCluster(t)
	accepted := &schemas.OrderAccepted{OrderID: "o1", Client: "c1", Version: 1, Terms: schemas.Terms{Namespace: "n", Product: "Product-A"}}
	gone := &schemas.ProvisioningProgressed{OrderID: "o1", Client: "c1", Version: 1, State: schemas.ProvisioningAbandoned, Step: 1, Steps: 1}
	for _, event := range []schemas.Event{accepted, gone} {
		if _, err := c.log.Append(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	f := func(says string, total int) {
		t.Helper()
		got := fieldlog(t, c.environment, "", "replay", "orders", "--apply-missing", "--why", "it is back", "--yes")
		if all := c.interventions(t); got.code != exitOK || !strings.Contains(got.stderr, says) || strings.Contains(got.stderr, "[y/N]") || len(all) != total {
			t.Errorf("got %+v and %q on the log, want %d that says %q", got, all, total, says)
		}
	}
	f("1 orders are tried again", 1)
	f("nothing is missing", 1)
}
