package analytics

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
)

func TestTablesAreMadeOnceAndRetentionFollows(t *testing.T) {
	ch := clickhousetest.Open(t, clickhousetest.Config(t))
	f := func(r Retention) {
		t.Helper()
		s := schema{cfg: Config{Retention: r}.withDefaults(), ch: ch}
		if err := s.apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, e := range s.expiries() {
			if days, err := s.retained(t.Context(), e.table); err != nil || days != e.days {
				t.Errorf("%s is kept for %d days, want %d (%v)", e.table, days, e.days, err)
			}
		}
	}
	f(Retention{})
	f(Retention{Readings: 90, Reports: 1, Duplicates: 7, Minutes: 2, Hours: 3, Days: 4, Devices: 5})
	f(Retention{Readings: 90, Reports: 10, Devices: 50})
	f(Retention{})
	f(Retention{})
}

func TestAnotherGenerationTakesThePublicNames(t *testing.T) {
	ch := clickhousetest.Open(t, clickhousetest.Config(t))
	f := func(cfg Config, want string) {
		t.Helper()
		if err := (schema{cfg: cfg.withDefaults(), ch: ch}).apply(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"readings", "reports", "readings_1m", "readings_1h", "readings_1d", "devices", "duplicates", "order_facts"} {
			var definition string
			query := "SELECT create_table_query FROM system.tables WHERE database = " + clickhouse.Quote(ch.Database()) + " AND name = " + clickhouse.Quote(name)
			if err := ch.Scan(t.Context(), query, &definition); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(definition, name+want) {
				t.Errorf("%s is not a view of %s%s", name, name, want)
			}
		}
	}
	f(Config{}, "_g1")
	f(Config{Generation: 2, Shadow: true}, "_g1")
	f(Config{Generation: 2}, "_g2")
	f(Config{Generation: 1}, "_g1")
}

var madeView = regexp.MustCompile("^CREATE OR REPLACE VIEW `fieldlog`\\.`([a-z0-9_]+)`")

func TestViewsAreThoseThatAreMade(t *testing.T) {
	ch, err := clickhouse.New(clickhouse.Config{URL: "http://localhost"})
	if err != nil {
		t.Fatal(err)
	}
	statements, err := schema{cfg: Config{}.withDefaults(), ch: ch}.statements("views.sql")
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, statement := range statements {
		if found := madeView.FindStringSubmatch(statement); found != nil {
			made = append(made, found[1])
		}
	}
	if !slices.Equal(Views(), made) {
		t.Errorf("got %q, want those of views.sql: %q", Views(), made)
	}
}

// TestClusterStatements checks what no single server can run.
func TestClusterStatements(t *testing.T) {
	ch, err := clickhouse.New(clickhouse.Config{URL: "http://localhost", Cluster: "main"})
	if err != nil {
		t.Fatal(err)
	}
	s := schema{cfg: Config{}.withDefaults(), ch: ch}
	for _, file := range []string{"v1.sql", "views.sql"} {
		statements, err := s.statements(file)
		if err != nil || len(statements) < 6 {
			t.Fatalf("%s has %d statements: %v", file, len(statements), err)
		}
		for _, statement := range statements {
			if !strings.Contains(statement, "ON CLUSTER `main`") {
				t.Errorf("%s runs on one server only: %.80s", file, statement)
			}
			if strings.HasPrefix(statement, "CREATE TABLE") && (!strings.Contains(statement, "ENGINE = Replicated") || strings.Contains(statement, "non_replicated")) {
				t.Errorf("the table is not replicated: %s", statement)
			}
		}
	}
	if got, want := s.retention(expiry{"readings", "toDateTime(time)", 9}), "ALTER TABLE `fieldlog`.`readings_g1` ON CLUSTER `main` MODIFY TTL toDateTime(time) + toIntervalDay(9)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestValidateNamesTheFlag(t *testing.T) {
	f := func(cfg Config, want string) {
		t.Helper()
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
	f(Config{Generation: -1}, "--generation")
	f(Config{MaxRows: -1}, "--block-rows")
	f(Config{Retention: Retention{Hours: -1}}, "--retention")
	f(Config{DedupWindow: 5}, "--dedup-window")
	f(Config{SessionTimeout: time.Millisecond}, "--session-timeout")
	if err := (Config{}).Validate(); err != nil {
		t.Errorf("the zero Config: %v", err)
	}
}
