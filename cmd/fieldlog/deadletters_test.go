package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// letter writes a dead letter about a record that does not exist.
func (c cluster) letter(t *testing.T, n int, key string, change ...func(*schemas.DeadLetter)) {
	t.Helper()
	var id string
	topics, err := c.log.Topics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if topic.Name == "telemetry" {
			id = topic.ID.String()
		}
	}
	d := &schemas.DeadLetter{
		Envelope: schemas.Envelope{EventID: fmt.Sprintf("letter-%d", n), ReceivedTime: schemas.TimeOf(time.Date(2026, 11, 24, 4, n, 0, 0, time.UTC))},
		Reason:   schemas.ReasonNotOurs, Detail: "the value is not in the Confluent wire format", Topic: "telemetry", TopicID: id,
		Partition: 3, Offset: int64(n), Key: []byte(key), Value: []byte("hello\x1b[31m"), Size: int64(len(key) + 10),
		Headers: []schemas.Header{{Key: "note", Value: []byte{0xff, 1}}},
	}
	for _, change := range change {
		change(d)
	}
	if _, err := c.log.Append(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func invalid(d *schemas.DeadLetter) { d.Reason, d.Detail = schemas.ReasonInvalid, "client is empty" }

func TestLettersAreListed(t *testing.T) {
	c := newCluster(t)
	c.letter(t, 1, "a/1")
	c.letter(t, 2, "a/2", invalid)
	c.letter(t, 3, "b/1", func(d *schemas.DeadLetter) { d.Topic, d.Offset, d.Partition = "", -1, -1 })
	f := func(want string, args ...string) {
		t.Helper()
		got := fieldlog(t, c.environment, "", append([]string{"deadletters", "list"}, args...)...)
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("%q: got %+v", args, got)
		}
		var ids []string
		for _, l := range lines[letterLine](t, got.stdout) {
			ids = append(ids, strings.TrimPrefix(l.ID, "letter-"))
		}
		slices.Sort(ids)
		if strings.Join(ids, " ") != want {
			t.Errorf("%q: got letters %q, want %q", args, ids, want)
		}
	}
	f("1 2 3")
	f("1 2", "--client", "a")
	f("1 3", "--device", "1")
	f("2", "--reason", "invalid")
	f("1 2 3", "--reason", "invalid", "--reason", "not_ours,undecodable")
	f("2 3", "--since", "2026-11-24T04:02:00Z")
	f("1", "--until", "2026-11-24T04:02:00Z")
	f("", "--until", "2026-11-24")
	f("", "--state", "redriven")
	f("1 2 3", "--state", "all")
	if got := fieldlog(t, c.environment, "", "deadletters", "list", "--limit", "2"); len(lines[letterLine](t, got.stdout)) != 2 {
		t.Errorf("got %+v, want two letters", got)
	}
	one := lines[letterLine](t, fieldlog(t, c.environment, "", "deadletters", "list", "--client", "b").stdout)[0]
	if one.Record != "" || one.State != "open" || one.Key != "b/1" || one.Reason != "not_ours" || !strings.HasPrefix(one.Letter, "deadletters/") {
		t.Errorf("got %+v", one)
	}
	table := fieldlogOn(t, 200, c.environment, "", "deadletters", "list", "--client", "a")
	for _, want := range []string{"│ letter", "telemetry/3@2", "client is empty", "2 letters"} {
		if !strings.Contains(table.stdout, want) {
			t.Errorf("got %s\nwithout %q", table.stdout, want)
		}
	}
	if got := fieldlogOn(t, 200, c.environment, "", "deadletters", "list", "--json"); len(lines[letterLine](t, got.stdout)) != 3 {
		t.Errorf("got %+v, want JSON on a terminal too", got)
	}
}

func TestALetterIsShown(t *testing.T) {
	c := newCluster(t)
	at := c.report(t, "a", "1", "x")
	c.letter(t, 1, "a/1", invalid)
	for r, err := range c.log.Read(t.Context(), eventlog.ReadOptions{Topic: at.Topic, Partitions: []eventlog.Partition{at.Partition}}) {
		if err != nil {
			t.Fatal(err)
		}
		c.letter(t, 2, "a/1", func(d *schemas.DeadLetter) { d.Value = r.Value })
		break
	}
	if got := fieldlog(t, c.environment, "", "deadletters", "discard", "letter-1", "--why", "a test", "--operator", "ana"); got.code != 0 {
		t.Fatalf("got %+v", got)
	}
	show := func(name string) letterShown {
		t.Helper()
		got := fieldlog(t, c.environment, "", "deadletters", "show", name)
		if got.code != 0 {
			t.Fatalf("%s: got %+v", name, got)
		}
		return lines[letterShown](t, got.stdout)[0]
	}
	first := show("letter-1")
	if first.State != "discarded" || string(first.Value) != "hello\x1b[31m" || first.Event != nil || !strings.Contains(first.Undecoded, "not_ours") ||
		len(first.Headers) != 1 || first.Headers[0].Key != "note" || string(first.Headers[0].Value) != "\xff\x01" || first.Reason != "invalid" {
		t.Errorf("got %+v", first)
	}
	if len(first.Story) != 2 || first.Story[0].What != "deadletter" || first.Story[1].What != "deadletter.discarded" ||
		first.Story[1].Operator != "ana" || first.Story[1].Detail != "a test" {
		t.Errorf("got the story %+v", first.Story)
	}
	for _, name := range []string{first.Letter, strings.TrimPrefix(first.Letter, "deadletters/"), c.Name(first.Letter), "telemetry/3@1", c.Name("telemetry/3@1")} {
		if again := show(name); again.ID != "letter-1" {
			t.Errorf("%s: got %+v", name, again)
		}
	}
	if second := show("letter-2"); !json.Valid(second.Event) || !strings.Contains(string(second.Event), `"client":"a"`) || second.Undecoded != "" {
		t.Errorf("got %+v, want the event", second)
	}
	terminal := fieldlogOn(t, 100, c.environment, "", "deadletters", "show", "letter-1")
	for _, want := range []string{"discarded, attempt 0", "invalid: client is empty", "ana a test", "68 65 6c 6c 6f 1b", "header   note"} {
		if !strings.Contains(terminal.stdout, want) {
			t.Errorf("got %s\nwithout %q", terminal.stdout, want)
		}
	}
	if strings.Contains(terminal.stdout, "\x1b") {
		t.Error("the bytes of a stranger reach the terminal")
	}
	if !strings.Contains(fieldlog(t, c.environment, "", "deadletters", "show", "letter-1").stdout, base64.StdEncoding.EncodeToString([]byte("hello\x1b[31m"))) {
		t.Error("the bytes are not in the JSON")
	}
	if got := fieldlog(t, c.environment, "", "deadletters", "show", "letter-9"); got.code != exitFailure || !strings.Contains(got.stderr, "letter-9") {
		t.Errorf("got %+v", got)
	}
}

func TestLettersAreRedrivenAndDiscarded(t *testing.T) {
	c := newCluster(t)
	for n := range 3 {
		c.letter(t, n, "a/1")
	}
	c.letter(t, 3, "b/1", invalid)
	f := func(code int, want string, args ...string) {
		t.Helper()
		got := fieldlog(t, c.environment, "", append([]string{"deadletters"}, args...)...)
		var verdicts []string
		for _, l := range lines[outcomeLine](t, got.stdout) {
			verdicts = append(verdicts, strings.TrimPrefix(l.ID, "letter-")+" "+string(l.Verdict))
		}
		slices.Sort(verdicts)
		if got.code != code || strings.Join(verdicts, ", ") != want {
			t.Errorf("%q: got %+v, want code %d and %q", args, got, code, want)
		}
	}
	f(exitFailure, "1 waits", "redrive", "letter-1")
	f(exitOK, "0 redriven, 1 redriven, 2 redriven, 3 redriven", "redrive", "--all", "--dry-run")
	f(exitOK, "0 redriven, 1 redriven", "redrive", "letter-1", "--with-earlier")
	f(exitFailure, "0 closed", "redrive", "letter-0")
	f(exitOK, "2 discarded", "discard", "--client", "a", "--why", "a test")
	f(exitFailure, "3 redriven", "redrive", "letter-3", "letter-9")
	f(exitOK, "", "redrive", "--all")
	terminal := fieldlogOn(t, 80, c.environment, "", "deadletters", "redrive", "letter-2")
	if terminal.code != exitFailure || !strings.Contains(terminal.stdout, "✗ deadletters/") || !strings.Contains(terminal.stdout, "1 closed") {
		t.Errorf("got %+v", terminal)
	}
	terminal = fieldlogOn(t, 80, c.environment, "", "deadletters", "redrive", "--all", "--dry-run")
	if terminal.code != exitOK || !strings.Contains(terminal.stdout, "no open letter is chosen; nothing was done") {
		t.Errorf("got %+v", terminal)
	}
	audit := fieldlog(t, c.environment, "", "tail", "deadletters").stdout
	if strings.Contains(audit, `"operator":""`) { // the default is the user of the process
		t.Errorf("got %s, want to know who did it", audit)
	}
	if strings.Count(audit, `"why":"a test"`) != 1 || strings.Count(audit, "DeadLetterRedriven") != 3 {
		t.Errorf("got %s", audit)
	}
}

func TestWhatIsAskedOfLetters(t *testing.T) {
	c := newCluster(t)
	f := func(message string, args ...string) {
		t.Helper()
		got := fieldlog(t, c.environment, "", append([]string{"deadletters"}, args...)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, message) {
			t.Errorf("%q: got %+v, want %q", args, got, message)
		}
	}
	f("--all", "redrive")
	f("--all", "discard", "--why", "x")
	f("--why", "discard", "--all")
	f("--reason", "list", "--reason", "ugly")
	f("--since", "list", "--since", "yesterday")
	f("--until", "redrive", "--until", "15m")
	f("--state", "list", "--state", "ajar")
	f("--limit", "list", "--limit", "-1")
	f("arg(s)", "show")
	f("unknown command", "burn")
	f("list, show, redrive or discard")
}

// TestEveryReasonIsExplained looks for each reason in the table of docs/operations.md, with what it means and what to do.
func TestEveryReasonIsExplained(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range schemas.Reasons() {
		row := regexp.MustCompile("(?m)^\\| `" + string(reason) + "` \\| [^|]{20,} \\| [^|]{20,} \\|$")
		if !row.Match(text) {
			t.Errorf("docs/operations.md does not say what %q means and what to do", reason)
		}
	}
}
