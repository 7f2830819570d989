package main

//	--clickhouse... -> clickhouse.Config, and the HTTP request of one statement

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/pflag"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/settings"
)

// clickhouseFlags say which ClickHouse to use.
type clickhouseFlags struct {
	cfg         clickhouse.Config
	compression string
}

// bind defines the flags. Address is the default, empty where it is embedded.
func (c *clickhouseFlags) bind(flags *pflag.FlagSet, address string) {
	instead := ""
	if address == "" {
		instead = " instead of the embedded engine"
	}
	flags.StringVar(&c.cfg.URL, "clickhouse", address, "URL of ClickHouse's HTTP interface to use"+instead)
	flags.StringVar(&c.cfg.Database, "clickhouse-database", "fieldlog", "database of the tables")
	flags.StringVar(&c.cfg.User, "clickhouse-user", "", "user at ClickHouse")
	settings.Secret(flags, &c.cfg.Password, "clickhouse-password", "password at ClickHouse")
}

// bindTables defines the flags of who makes the tables.
func (c *clickhouseFlags) bindTables(flags *pflag.FlagSet) {
	flags.StringVar(&c.cfg.Cluster, "clickhouse-cluster", "", "make replicated tables on this cluster")
	flags.StringVar(&c.compression, "clickhouse-compression", "none", "of inserts: none or lz4")
}

func (c *clickhouseFlags) config() (clickhouse.Config, error) {
	cfg := c.cfg
	cfg.Compression = clickhouse.Compression(c.compression)
	if err := cfg.Validate(); err != nil {
		return cfg, usagef("%w", err)
	}
	return cfg, nil
}

// new returns a client that has not connected yet.
func (c *clickhouseFlags) new() (*clickhouse.Client, error) {
	cfg, err := c.config()
	if err != nil {
		return nil, err
	}
	client, err := clickhouse.New(cfg)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return client, nil
}

// rawFormat is the header in which ClickHouse names the format of an answer.
const rawFormat = "X-Clickhouse-Format"

// statement sends one statement and returns the answer, in the given format unless the statement names one. Close its body.
func (c *clickhouseFlags) statement(ctx context.Context, sql, format string, parameters ...string) (*http.Response, error) {
	query := url.Values{"default_format": {format}, "database": {c.cfg.Database}}
	for i := 0; i+1 < len(parameters); i += 2 {
		query.Set(parameters[i], parameters[i+1])
	}
	address := strings.TrimRight(c.cfg.URL, "/") + "/?" + query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(sql))
	if err != nil {
		return nil, usagef("--clickhouse: %w", err)
	}
	if c.cfg.User != "" {
		req.Header.Set("X-ClickHouse-User", c.cfg.User)
		req.Header.Set("X-ClickHouse-Key", c.cfg.Password)
	}
	res, err := http.DefaultClient.Do(req)
	switch {
	case ctx.Err() != nil:
		return nil, errInterrupted
	case err != nil:
		return nil, unavailable{fmt.Errorf("reach ClickHouse: %w; is it running? See --clickhouse, or start \"fieldlog up\"", err)}
	case res.StatusCode == http.StatusOK:
		return res, nil
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	text, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("read ClickHouse's answer of status %d: %w", res.StatusCode, err)
	}
	return nil, fmt.Errorf("ClickHouse refuses the statement: %s", bytes.TrimSpace(text))
}

// value runs a statement whose answer is one value.
func (c *clickhouseFlags) value(ctx context.Context, sql string) (string, error) {
	res, err := c.statement(ctx, sql, "TSVRaw")
	if err != nil {
		return "", err
	}
	defer func() { _ = res.Body.Close() }() // it was read; nothing can be lost
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("read ClickHouse's answer: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
