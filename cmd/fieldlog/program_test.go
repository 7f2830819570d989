package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/settings"
	"github.com/fieldlog/fieldlog/services/portal"
)

// outcome is what a command line gave.
type outcome struct {
	code           int
	stdout, stderr string
}

// fieldlog runs a command line in this process.
func fieldlog(t *testing.T, environment map[string]string, stdin string, args ...string) outcome {
	t.Helper()
	return fieldlogOn(t, 0, environment, stdin, args...)
}

// fieldlogOn runs it on a terminal of so many columns; 0 is none.
func fieldlogOn(t *testing.T, columns int, environment map[string]string, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p := &program{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, columns: columns, checkTime: time.Minute,
		lookup: func(name string) (string, bool) { value, found := environment[name]; return value, found },
		exit:   func(code int) { t.Errorf("the program wanted to exit with %d", code) },
	}
	for name, value := range environment {
		p.environment = append(p.environment, name+"="+value)
	}
	code := p.execute(args)
	return outcome{code, stdout.String(), stderr.String()}
}

// commands returns every command below one.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		all = append(all, commands(sub)...)
	}
	return all
}

func TestHelpIsAFullReference(t *testing.T) {
	for _, cmd := range commands(newProgram().root()) {
		path := strings.Fields(cmd.CommandPath())[1:]
		got := fieldlog(t, nil, "", append(path, "-h")...)
		if got.code != 0 || got.stderr != "" {
			t.Errorf("%s -h: got code %d, stderr %q", cmd.CommandPath(), got.code, got.stderr)
		}
		words := strings.Join(strings.Fields(got.stdout), " ")
		for _, want := range []string{"Usage:", "fieldlog", "[FIELDLOG_LOG_LEVEL]"} {
			if !strings.Contains(words, want) {
				t.Errorf("%s -h: got %s\nwithout %q", cmd.CommandPath(), got.stdout, want)
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" && !f.Hidden && (!strings.Contains(words, "--"+f.Name) || !strings.Contains(words, "["+settings.Variable(f.Name)+"]")) {
				t.Errorf("%s -h: got nothing of --%s and its variable", cmd.CommandPath(), f.Name)
			}
		})
		if cmd.Short == "" || len(cmd.Short) > 90 {
			t.Errorf("%s: got a short description %q", cmd.CommandPath(), cmd.Short)
		}
	}
	if got := fieldlog(t, nil, "", "help"); !strings.Contains(got.stdout, "Exit codes:") || got.code != 0 {
		t.Errorf("fieldlog help: got %d %s", got.code, got.stdout)
	}
}

func TestOneFlagOneMeaning(t *testing.T) {
	usages := map[string]string{}
	for _, cmd := range commands(newProgram().root()) {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if before, known := usages[f.Name]; known && f.Value.Type() != before && f.Name != "help" {
				t.Errorf("--%s is a %s in %s and a %s elsewhere; its variable cannot be both", f.Name, f.Value.Type(), cmd.CommandPath(), before)
			}
			usages[f.Name] = f.Value.Type()
		})
	}
}

func TestExitCodes(t *testing.T) {
	nowhere := []string{"--brokers", "127.0.0.1:1", "--registry", "http://127.0.0.1:1"}
	f := func(want int, message string, args ...string) {
		t.Helper()
		got := fieldlog(t, nil, "", args...)
		if got.code != want || !strings.Contains(got.stderr, message) {
			t.Errorf("%q: got code %d and %q, want %d and %q", args, got.code, got.stderr, want, message)
		}
		if want == exitOK && got.stderr != "" {
			t.Errorf("%q: got %q on stderr", args, got.stderr)
		}
	}
	f(exitOK, "", "version")
	f(exitOK, "", "schemas", "show", "deadletter")
	f(exitOK, "", "completion", "bash")
	f(exitUsage, `unknown command "reheat"`, "reheat")
	f(exitUsage, "unknown flag: --reheat", "tail", "--reheat")
	f(exitUsage, "arg(s)", "append")
	f(exitUsage, `no kind of event "order"`, "append", "order")
	f(exitUsage, "--from", "tail", "--from", "yesterday")
	f(exitUsage, "--limit", "tail", "--limit", "-1")
	f(exitUsage, "--log-level", append([]string{"tail", "--log-level", "loud"}, nowhere...)...)
	f(exitUsage, "the statement is empty", "query", " ")
	f(exitUsage, "not both", "query", "SELECT 1", "--file", "x")
	f(exitUsage, "--clickhouse", "query", "SELECT 1", "--clickhouse", "localhost")
	f(exitUsage, "http://host:port", "simulate", "--url", "localhost:8080")
	f(exitUsage, "--tls-ca", append([]string{"tail", "--tls-ca", "/nowhere"}, nowhere...)...)
	f(exitUsage, "there is no table", "analytics", "--retention", "weather=3", "--brokers", "x:1", "--registry", "http://x")
	f(exitUsage, "engine install", "engine")
	f(exitUsage, "--gateway-token-file", append([]string{"gateway", "--listen", ":0"}, nowhere...)...)
	f(exitUsage, "--gateway-token-file", "up", "--listen", "0.0.0.0:0")
	f(exitUsage, "--fleet-every", "up", "--fleet-every", "0")
	f(exitUsage, "shorter than 16", append([]string{"gateway", "--gateway-token", "short"}, nowhere...)...)
	f(exitFailure, "--metrics-listen", append([]string{"analytics", "--metrics-listen", "256.0.0.1:1"}, nowhere...)...)
	f(exitFailure, "no version 99", "schemas", "show", "deadletter", "--version", "99")
	f(exitUnavailable, "--brokers", append([]string{"tail"}, nowhere...)...)
	f(exitUnavailable, "--registry", append([]string{"schemas"}, nowhere...)...)
	f(exitUnavailable, "--clickhouse", "query", "SELECT 1", "--clickhouse", "http://127.0.0.1:1")
	f(exitUnavailable, "--url", "simulate", "--url", "http://127.0.0.1:1", "--duration", "2s", "--every", "50ms", "--devices", "2")
}

func TestExplain(t *testing.T) {
	f := func(err error, want int) {
		t.Helper()
		p := &program{stderr: &bytes.Buffer{}, begun: true}
		if got := p.explain(t.Context(), err); got != want {
			t.Errorf("%v: got code %d, want %d", err, got, want)
		}
	}
	f(nil, 0)
	f(errors.New("disk is gone"), 1)
	f(errSilent, 1)
	f(usagef("--data is wrong"), 2)
	f(fmt.Errorf("start: %w", unavailable{errors.New("no broker")}), 3)
	f(errors.Join(errInterrupted, nil), 130)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := (&program{stderr: &bytes.Buffer{}, begun: true}).explain(ended, context.Canceled); got != 130 {
		t.Errorf("got code %d for a command that was interrupted, want 130", got)
	}
}

func TestEnvironmentStandsInForFlags(t *testing.T) {
	got := fieldlog(t, map[string]string{"FIELDLOG_BROKERS": "127.0.0.1:1", "FIELDLOG_REGISTRY": "http://127.0.0.1:1"}, "", "topics")
	if got.code != exitUnavailable || !strings.Contains(got.stderr, "127.0.0.1:1") {
		t.Errorf("got %+v, want the brokers of the environment to be tried", got)
	}
	got = fieldlog(t, map[string]string{"FIELDLOG_LIMIT": "many"}, "", "tail")
	if got.code != exitUsage || !strings.Contains(got.stderr, "FIELDLOG_LIMIT") {
		t.Errorf("got %+v, want the variable to be named", got)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	hush := map[string]string{"FIELDLOG_KAFKA_PASSWORD": "hush", "FIELDLOG_GATEWAY_TOKEN": "hush", "FIELDLOG_CLICKHOUSE_PASSWORD": "hush"}
	for _, args := range [][]string{{"tail", "-h"}, {"simulate", "-h"}, {"tail", "--brokers", "127.0.0.1:1"}, {"query", "SELECT 1", "--clickhouse", "http://127.0.0.1:1"}} {
		if got := fieldlog(t, hush, "", args...); strings.Contains(got.stdout+got.stderr, "hush") {
			t.Errorf("%q: got %+v, which tells a secret", args, got)
		}
	}
}

func TestCompletionKnowsOurWords(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		got := fieldlog(t, nil, "", append([]string{"__complete"}, args...)...)
		if !slices.Contains(strings.Fields(got.stdout), want) {
			t.Errorf("%q: got %q, want %q among them", args, got.stdout, want)
		}
	}
	f("deadletters", "tail", "")
	f("telemetry.reported", "append", "")
	f("unknown_schema", "deadletters", "list", "--reason", "")
	f("discarded", "deadletters", "list", "--state", "")
	f("--follow", "tail", "--fo")
	f("doctor", "doc")
}

// TestEveryServiceListensSomewhereElse: all of them may run on one machine without a flag.
func TestEveryServiceListensSomewhereElse(t *testing.T) {
	taken := map[string]string{}
	for _, cmd := range commands(newProgram().root()) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if cmd.Name() == "up" || !strings.HasSuffix(f.Name, "listen") || f.DefValue == "" { // up has all the addresses of others
				return
			}
			if other, is := taken[f.DefValue]; is {
				t.Errorf("%s --%s is %s, as %s", cmd.Name(), f.Name, f.DefValue, other)
			}
			taken[f.DefValue] = cmd.Name() + " --" + f.Name
		})
	}
	if len(taken) < 6 {
		t.Errorf("found only %v", taken)
	}
}

func TestThePortalShowsTheGroupOfTheGeneration(t *testing.T) {
	for generation, want := range map[int]eventlog.Group{0: "analytics", 1: "analytics", 2: "analytics_g2"} {
		got := defaultReaders(generation)
		for i, reader := range []portal.Reader{
			{Group: want, Topic: eventlog.TopicTelemetry}, {Group: want + "-clients", Topic: eventlog.TopicClients},
			{Group: want + "-provisioning", Topic: eventlog.TopicProvisioning},
		} {
			if got[i] != reader {
				t.Errorf("generation %d: got %+v, want %+v", generation, got[i], reader)
			}
		}
	}
}
