package auditor

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/services/analytics"
)

// TestEachAuditBeginsWhereTheLastLeftOff follows what next returns.
func TestEachAuditBeginsWhereTheLastLeftOff(t *testing.T) {
	s := newStand(t)
	s.flow(300)
	s.auditor.cfg.Overlap = 0
	from, behind := s.auditor.next(t.Context(), time.Now().Add(-150*time.Minute)) // three windows of an hour at most
	for range 2 {
		if !behind {
			t.Fatal("it does not know that it is behind")
		}
		from, behind = s.auditor.next(t.Context(), from)
	}
	m := s.auditor.metrics
	if behind || time.Since(from) > time.Minute || value(t, m.records) != 300 {
		t.Errorf("got %v behind at %s, %v records", behind, from, value(t, m.records))
	}

	address, stop := s.gateway()
	s.post(address, 50)
	stop()
	before := time.Now()
	next, _ := s.auditor.next(t.Context(), from)
	if !next.Before(before) || value(t, m.pending) != 50 || value(t, m.records) != 350 {
		t.Errorf("got %s, %v pending, %v records", next, value(t, m.pending), value(t, m.records))
	}
	stop = s.analytics(analytics.Config{})
	s.wait(s.auditor)
	stop()
	last, _ := s.auditor.next(t.Context(), next)
	if value(t, m.pending) != 0 || value(t, m.records) != 400 || last.Before(before) {
		t.Errorf("got %s, %v pending, %v records", last, value(t, m.pending), value(t, m.records))
	}

	s.exec("ALTER TABLE READINGS DELETE WHERE partition = 1 AND `offset` IN (3, 9)" + now)
	s.auditor.next(t.Context(), s.begin)
	if n := value(t, m.differences.WithLabelValues(string(Missing))); n != 2 {
		t.Errorf("missing: got %v ranges, want 2", n)
	}
	f := func(outcome string, want float64) {
		t.Helper()
		if got := value(t, m.runs.WithLabelValues(outcome)); got != want {
			t.Errorf("%s: got %v, want %v", outcome, got, want)
		}
	}
	f("different", 1)
	f("equal", 5)
	if value(t, m.unclaimed) != 0 || value(t, m.success) < float64(before.Unix()) || value(t, m.seconds) != 6 {
		t.Errorf("got %v unclaimed, success at %v, %v audits", value(t, m.unclaimed), value(t, m.success), value(t, m.seconds))
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if again, behind := s.auditor.next(ended, next); again != next || behind {
		t.Errorf("a failed audit is not tried again: got %s %v, want %s", again, behind, next)
	}
	f("failed", 1)
}

func TestRunEndsWithItsContext(t *testing.T) {
	s := newStand(t)
	stop := s.background(s.auditor.Run) // without tables, every audit fails
	deadline := time.Now().Add(time.Minute)
	for value(t, s.auditor.metrics.runs.WithLabelValues("failed")) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was audited within a minute")
		}
		<-time.After(5 * time.Millisecond) // a counter can only be asked
	}
	stop()
}

func TestValidateNamesTheFlag(t *testing.T) {
	tables := func(context.Context) (Tables, error) { return Tables{}, errors.New("none") }
	f := func(cfg Config, want string) {
		t.Helper()
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
	f(Config{Tables: tables, Every: -1}, "--every")
	f(Config{Tables: tables, From: -1}, "--from")
	f(Config{}, "tables")
	if err := (Config{Tables: tables}).Validate(); err != nil {
		t.Error(err)
	}
}

// TestTablesThatAreNotThere is a mistake of somebody's, not something that could not be reached.
func TestTablesThatAreNotThere(t *testing.T) {
	s := newStand(t)
	if err := s.ch.Exec(t.Context(), "CREATE DATABASE IF NOT EXISTS `"+s.ch.Database()+"`"); err != nil {
		t.Fatal(err)
	}
	_, err := s.auditor.Audit(t.Context(), s.window())
	if err == nil || Unreachable(err) {
		t.Errorf("got %v, which counts as unreachable", err)
	}
	s.cluster.Kafka.Close()
	bound, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.log.Decided(bound, "telemetry"); err == nil || !Unreachable(err) {
		t.Errorf("got %v, which does not count as unreachable", err)
	}
}
