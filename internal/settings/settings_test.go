package settings_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/settings"
)

type values struct {
	brokers []string
	fleet   int
	drain   time.Duration
	token   string
}

func load(args []string, env map[string]string) (values, *pflag.FlagSet, error) {
	var v values
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.StringSliceVar(&v.brokers, "brokers", []string{"127.0.0.1:9092"}, "where the brokers are")
	flags.IntVar(&v.fleet, "fleet", 0, "simulated devices")
	flags.DurationVar(&v.drain, "drain-time", time.Second, "bound on draining")
	settings.Secret(flags, &v.token, "token", "access token")
	if err := flags.Parse(args); err != nil {
		return v, flags, err
	}
	err := settings.Load(flags, func(name string) (string, bool) { value, found := env[name]; return value, found })
	return v, flags, err
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type env = map[string]string
	f := func(args string, vars env, want values) {
		t.Helper()
		got, _, err := load(strings.Fields(args), vars)
		if err != nil {
			t.Errorf("%q %v: %v", args, vars, err)
			return
		}
		if !slices.Equal(got.brokers, want.brokers) || got.fleet != want.fleet || got.drain != want.drain || got.token != want.token {
			t.Errorf("%q %v: got %+v, want %+v", args, vars, got, want)
		}
	}
	local := []string{"127.0.0.1:9092"}
	f("", nil, values{local, 0, time.Second, ""})
	f("", env{"FIELDLOG_FLEET": ""}, values{local, 0, time.Second, ""})
	f("", env{"FIELDLOG_FLEET": "7"}, values{local, 7, time.Second, ""})
	f("--fleet 8", env{"FIELDLOG_FLEET": "7"}, values{local, 8, time.Second, ""})
	f("--fleet 0", env{"FIELDLOG_FLEET": "7"}, values{local, 0, time.Second, ""})
	f("--fleet 8", env{"FIELDLOG_FLEET": "not a number"}, values{local, 8, time.Second, ""})
	f("", env{"FIELDLOG_BROKERS": "a:1,b:2"}, values{[]string{"a:1", "b:2"}, 0, time.Second, ""})
	f("", env{"FIELDLOG_DRAIN_TIME": "3s"}, values{local, 0, 3 * time.Second, ""})
	f("--token flag", env{"FIELDLOG_TOKEN": "env"}, values{local, 0, time.Second, "flag"})
	f("", env{"FIELDLOG_TOKEN": "env"}, values{local, 0, time.Second, "env"})
	f("", env{"FIELDLOG_TOKEN_FILE": file}, values{local, 0, time.Second, "from-file"})
	f("--token-file "+file, env{"FIELDLOG_TOKEN": "env"}, values{local, 0, time.Second, "from-file"})
	f("--token flag", env{"FIELDLOG_TOKEN_FILE": "/nowhere"}, values{local, 0, time.Second, "flag"})
}

func TestLoadRefuses(t *testing.T) {
	f := func(args string, vars map[string]string, want string) {
		t.Helper()
		_, _, err := load(strings.Fields(args), vars)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q %v: got error %v, want one with %q", args, vars, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%q %v: the error tells the secret: %v", args, vars, err)
		}
	}
	f("", map[string]string{"FIELDLOG_FLEET": "many"}, "FIELDLOG_FLEET")
	f("", map[string]string{"FIELDLOG_TOKEN_FILE": "/no/such/file"}, "--token-file")
	f("--token hush --token-file x", nil, "give one")
	f("", map[string]string{"FIELDLOG_TOKEN": "hush", "FIELDLOG_TOKEN_FILE": "x"}, "give one")
	f("", map[string]string{"FIELDLOG_TOKEN": "hush\nhush"}, "line break")
}

func TestReference(t *testing.T) {
	_, flags, err := load([]string{"--token", "hush"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text := settings.Reference(flags, 100)
	for _, want := range []string{"--fleet", "FIELDLOG_DRAIN_TIME", "FIELDLOG_TOKEN_FILE", "(default [127.0.0.1:9092])"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("got reference %s\nwithout %q", text, want)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("the reference tells a secret: %s", text)
	}
}

func TestUnknown(t *testing.T) {
	_, flags, _ := load(nil, nil)
	got := settings.Unknown([]string{"PATH=/bin", "FIELDLOG_FLEET=1", "FIELDLOG_FLEETS=1"}, flags)
	if !slices.Equal(got, []string{"FIELDLOG_FLEETS"}) {
		t.Errorf("got %v, want FIELDLOG_FLEETS", got)
	}
}
