package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/services/auditor"
)

func TestAuditRefusesWhatItCannotRead(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		got := fieldlog(t, nil, "", append([]string{"audit"}, args...)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%v: got %+v, want %q", args, got, want)
		}
	}
	f("--from", "--from", "yesterday")
	f("--from", "--from", "12") // an offset is no time
	f("--to", "--to", "tomorrow")
	f("--from", "--from", "-1h", "--to", "-2h")
	f("--every", "--every", "1m", "--wait")
	f("--every", "--every", "1m", "--from", "start")
}

func TestAuditTellsWhatItCannotReach(t *testing.T) {
	got := fieldlog(t, nil, "", "audit", "--brokers", "127.0.0.1:1")
	if got.code != exitUnavailable || !strings.Contains(got.stderr, "--brokers") {
		t.Errorf("got %+v", got)
	}
	c := newCluster(t)
	got = fieldlog(t, c.environment, "", "audit", "--clickhouse", "http://127.0.0.1:1")
	if got.code != exitUnavailable || !strings.Contains(got.stderr, "--clickhouse") {
		t.Errorf("got %+v", got)
	}
}

// found is a result with one of everything.
func found() *auditor.Result {
	return &auditor.Result{
		Generation: 2,
		Rows: []auditor.Row{{
			Topic: "telemetry", Partition: 3, Hour: time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC), Range: eventlog.Range{First: 100, Next: 150},
			Accepted: 49, Log: 50, Readings: 150, Stored: 41, DeadLetters: 2, Copies: 3, Pending: 4, Unclaimed: 1,
		}},
		Differences: []auditor.Difference{
			{Kind: auditor.Missing, Table: "readings", Topic: "telemetry", Partition: 3, Range: eventlog.Range{First: 100, Next: 121}},
			{Kind: auditor.ReceiptsLost, Topic: "receipts", Instance: "gw", Range: eventlog.Range{First: 7, Next: 8}},
		},
		More: 1, Notes: []string{"telemetry/0 begins at offset 9 by now: what was before is not compared"},
	}
}

func TestAuditPrintsATable(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out, columns: 160}
	if err := p.printAudit(found(), false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"│ telemetry │         3 │ 2026-11-24 04:00 │       49 │  50 │", "missing in ClickHouse: telemetry/3@100-120 (readings)\n",
		"receipts lost: of gateway gw, numbers 7-7\n", "and 1 more ranges\n", "note: telemetry/0 begins", "DIFFERENT in 3 ranges, generation 2",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s\nwant %q in it", &out, want)
		}
	}
}

func TestAuditPrintsJSON(t *testing.T) {
	var out bytes.Buffer
	p := &program{stdout: &out}
	if err := p.printAudit(found(), false); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 5 {
		t.Fatalf("got %d lines: %s", len(lines), &out)
	}
	var row auditRow
	if err := json.Unmarshal([]byte(lines[0]), &row); err != nil || row.First != 100 || row.Last != 149 || row.Stored != 41 || row.Copies != 3 || row.DeadLetters != 2 {
		t.Errorf("got %+v (%v)", row, err)
	}
	var d auditDifference
	if err := json.Unmarshal([]byte(lines[1]), &d); err != nil || d.Difference != auditor.Missing || d.First != 100 || d.Last != 120 || d.Text == "" {
		t.Errorf("got %+v (%v)", d, err)
	}
	var last auditSummary
	if err := json.Unmarshal([]byte(lines[4]), &last); err != nil || last.Differences != 3 || last.Generation != 2 {
		t.Errorf("got %+v (%v)", last, err)
	}
}
