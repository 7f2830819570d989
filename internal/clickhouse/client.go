package clickhouse

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	types "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Client is a connection to ClickHouse. It is safe for concurrent use.
type Client struct {
	cfg    Config
	url    *url.URL
	conn   types.Conn   // queries and statements
	http   *http.Client // inserts
	blocks sync.Pool    // of *block
}

// New returns a Client that has not connected to anything yet. Close it.
func New(cfg Config) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "https" && cfg.TLS == nil {
		cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	c := &Client{cfg: cfg, url: u, http: newHTTP(cfg)}
	c.blocks.New = func() any { return &block{} }
	if c.conn, err = driver.Open(c.options()); err != nil {
		return nil, fmt.Errorf("make client of ClickHouse at %q: %w", cfg.URL, err)
	}
	return c, nil
}

func newHTTP(cfg Config) *http.Client {
	return &http.Client{Timeout: cfg.Timeout, Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: cfg.DialTimeout}).DialContext,
		TLSClientConfig:     cfg.TLS,
		TLSHandshakeTimeout: cfg.DialTimeout,
		MaxConnsPerHost:     cfg.MaxConnections,
		MaxIdleConnsPerHost: cfg.MaxConnections,
		WriteBufferSize:     128 << 10,
	}}
}

func (c *Client) options() *driver.Options {
	options := &driver.Options{
		Protocol:     driver.HTTP,
		Addr:         []string{hostPort(c.url)},
		Auth:         driver.Auth{Username: c.cfg.User, Password: c.cfg.Password},
		HttpUrlPath:  c.url.Path,
		DialTimeout:  c.cfg.DialTimeout,
		ReadTimeout:  c.cfg.Timeout,
		MaxOpenConns: c.cfg.MaxConnections,
		MaxIdleConns: c.cfg.MaxConnections,
	}
	if c.url.Scheme == "https" {
		options.TLS = c.cfg.TLS
	}
	return options
}

func hostPort(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	return net.JoinHostPort(u.Hostname(), map[string]string{"http": "8123", "https": "8443"}[u.Scheme])
}

// Close closes the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.conn.Close()
}

// Ready returns nil when ClickHouse answers.
func (c *Client) Ready(ctx context.Context) error {
	if err := c.Exec(ctx, "SELECT 1"); err != nil {
		return fmt.Errorf("reach ClickHouse at %q: %w", c.cfg.URL, err)
	}
	return nil
}

// Rows are the rows of a query. Close them.
type Rows = types.Rows

// Exec runs a statement that returns no rows. Arguments replace ? in it.
func (c *Client) Exec(ctx context.Context, statement string, args ...any) error {
	return c.conn.Exec(ctx, statement, args...)
}

// Query runs a query. Arguments replace ? in it.
func (c *Client) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	return c.conn.Query(ctx, query, args...)
}

// Scan runs a query that returns one row and puts its columns into targets. No row is sql.ErrNoRows.
func (c *Client) Scan(ctx context.Context, query string, targets ...any) error {
	return c.conn.QueryRow(ctx, query).Scan(targets...)
}

// Database returns the name of the database that holds our tables.
func (c *Client) Database() string { return c.cfg.Database }

// Table returns a table's name with its database, quoted for a statement.
func (c *Client) Table(table string) string { return "`" + c.cfg.Database + "`.`" + table + "`" }
