package clickhouse_test

import (
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/clickhouse/clickhousetest"
)

func TestApplyRunsEachVersionOnce(t *testing.T) {
	c := clickhousetest.Open(t, clickhousetest.Config(t))
	create := "CREATE TABLE IF NOT EXISTS " + c.Table("t") + " (a UInt64) ENGINE = MergeTree ORDER BY a"
	insert := func(n string) string { return "INSERT INTO " + c.Table("t") + " SELECT " + n }
	f := func(want uint64, versions ...[]string) {
		t.Helper()
		if err := c.Apply(t.Context(), clickhouse.Schema{Component: "x", Versions: versions}); err != nil {
			t.Fatal(err)
		}
		if got := number(t, c, "SELECT sum(a) FROM "+c.Table("t")); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	f(1, []string{create, insert("1")})
	f(1, []string{create, insert("1")})
	f(111, []string{create, insert("1")}, []string{insert("10")}, []string{insert("100")})
	f(111, []string{create, insert("1")}, []string{insert("10")}, []string{insert("100")})
	if v, err := c.Version(t.Context(), "x"); err != nil || v != 3 {
		t.Errorf("version: got %d, %v, want 3", v, err)
	}
	if v, err := c.Version(t.Context(), "y"); err != nil || v != 0 {
		t.Errorf("version of another component: got %d, %v, want 0", v, err)
	}
	err := c.Apply(t.Context(), clickhouse.Schema{Component: "x", Versions: [][]string{{create}}})
	if err == nil || !strings.Contains(err.Error(), "--clickhouse-database") {
		t.Errorf("a newer database: got %v, want an error that names the flag", err)
	}
}

func TestApplyStopsAtTheFirstError(t *testing.T) {
	c := clickhousetest.Open(t, clickhousetest.Config(t))
	err := c.Apply(t.Context(), clickhouse.Schema{Component: "x", Versions: [][]string{{"SELECT 1", "SELEKT 2\nFROM t"}}})
	if err == nil || !strings.Contains(err.Error(), `run "SELEKT 2"`) {
		t.Errorf("got %v, want an error that names the statement", err)
	}
	if v, err := c.Version(t.Context(), "x"); err != nil || v != 0 {
		t.Errorf("version: got %d, %v, want 0", v, err)
	}
}

func TestClusterStatements(t *testing.T) {
	c, err := clickhouse.New(clickhouse.Config{URL: "http://localhost", Cluster: "main"})
	if err != nil {
		t.Fatal(err)
	}
	f := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(c.OnCluster(), " ON CLUSTER `main`")
	f(c.Engine("MergeTree", "t"), "ReplicatedMergeTree('/clickhouse/tables/{shard}/fieldlog/t', '{replica}')")
	f(c.Engine("ReplacingMergeTree", "t", "rank"), "ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/fieldlog/t', '{replica}', rank)")
	f(c.Table("t"), "`fieldlog`.`t`")
	f(clickhouse.Quote(`it's \ this`), `'it\'s \\ this'`)
}

func TestValidateNamesTheFlag(t *testing.T) {
	f := func(cfg clickhouse.Config, want string) {
		t.Helper()
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error that names %s", err, want)
		}
	}
	f(clickhouse.Config{}, "--clickhouse")
	f(clickhouse.Config{URL: "localhost:8123"}, "--clickhouse")
	f(clickhouse.Config{URL: "tcp://localhost:9000"}, "--clickhouse")
	f(clickhouse.Config{URL: "http://h", Database: "a`b"}, "--clickhouse-database")
	f(clickhouse.Config{URL: "http://h", Cluster: "a b"}, "--clickhouse-cluster")
	f(clickhouse.Config{URL: "http://h", Compression: "zstd"}, "--clickhouse-compression")
}
