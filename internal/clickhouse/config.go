package clickhouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"
)

// Compression says how the body of an insert is sent.
type Compression string

// The ways to send an insert.
const (
	// Plain is fastest where the network is not the bottleneck: on the same host, or at 10 Gbit/s.
	Plain Compression = "none"
	// LZ4 costs the sender about as much as building the columns, and saves some three quarters of the bytes.
	LZ4 Compression = "lz4"
)

// Config says which ClickHouse to use. The zero value of every optional field means its default.
type Config struct {
	// URL is the server's HTTP interface: "http://127.0.0.1:8123". Required.
	URL string
	// User and Password authenticate, if set.
	User, Password string
	// Database holds our tables; Apply creates it. Default "fieldlog".
	Database string
	// Cluster, if set, makes every table on that cluster, with replicated engines.
	Cluster string
	// TLS is used when the URL is https. Default: the system's trust.
	TLS *tls.Config
	// Compression of inserts. Default Plain.
	Compression Compression
	// DialTimeout bounds connecting. Default 5 s.
	DialTimeout time.Duration
	// Timeout bounds a query or an insert. Default 60 s.
	Timeout time.Duration
	// MaxConnections bounds the connections of queries and, apart from them, of inserts. Default 16.
	MaxConnections int
}

func (c Config) withDefaults() Config {
	set(&c.Database, "fieldlog")
	set(&c.Compression, Plain)
	set(&c.DialTimeout, 5*time.Second)
	set(&c.Timeout, time.Minute)
	set(&c.MaxConnections, 16)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// name is what a database or a cluster may be called: it goes into statements.
var name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,62}$`)

// Validate names the flag to change.
func (c Config) Validate() error {
	if c.URL == "" {
		return errors.New("no ClickHouse: set --clickhouse")
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return fmt.Errorf("--clickhouse %q is not a URL like http://127.0.0.1:8123", c.URL)
	}
	if c.Database != "" && !name.MatchString(c.Database) {
		return fmt.Errorf("--clickhouse-database %q is not a name of letters, digits and _", c.Database)
	}
	if c.Cluster != "" && !name.MatchString(c.Cluster) {
		return fmt.Errorf("--clickhouse-cluster %q is not a name of letters, digits and _", c.Cluster)
	}
	if c.Compression != "" && c.Compression != Plain && c.Compression != LZ4 {
		return fmt.Errorf("--clickhouse-compression %q is neither %q nor %q", c.Compression, Plain, LZ4)
	}
	return nil
}
