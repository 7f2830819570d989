package clickhouse

import (
	"context"
	"fmt"
	"strings"
)

// Schema is what Apply brings a database to.
type Schema struct {
	// Component names the schema: one row series in table schema_versions.
	Component string
	// Versions has the statements of each version, oldest first. Each statement must be harmless when it is run again: a
	// program that dies on the way runs the version again from its start.
	Versions [][]string
	// Settle is run every time, after the versions: what follows from the configuration.
	Settle []string
}

// Apply makes the database if need be, runs the versions it does not have yet, then Settle. An error names the statement.
func (c *Client) Apply(ctx context.Context, s Schema) error {
	for _, statement := range c.versionTable() {
		if err := c.run(ctx, statement); err != nil {
			return err
		}
	}
	version, err := c.Version(ctx, s.Component)
	if err != nil {
		return err
	}
	if version > len(s.Versions) {
		return fmt.Errorf("database %q has version %d of schema %q, this program knows %d: use a newer program or another --clickhouse-database",
			c.cfg.Database, version, s.Component, len(s.Versions))
	}
	for ; version < len(s.Versions); version++ {
		if err := c.upgrade(ctx, s, version); err != nil {
			return err
		}
	}
	for _, statement := range s.Settle {
		if err := c.run(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Version returns the version that a component of the database has, 0 for none.
func (c *Client) Version(ctx context.Context, component string) (int, error) {
	var version uint32
	query := "SELECT max(version) FROM " + c.Table("schema_versions") + " WHERE component = " + Quote(component)
	if err := c.Scan(ctx, query, &version); err != nil {
		return 0, fmt.Errorf("read version of schema %q: %w", component, err)
	}
	return int(version), nil
}

func (c *Client) versionTable() []string {
	return []string{
		"CREATE DATABASE IF NOT EXISTS `" + c.cfg.Database + "`" + c.OnCluster(),
		"CREATE TABLE IF NOT EXISTS " + c.Table("schema_versions") + c.OnCluster() +
			" (component String, version UInt32, applied DateTime64(3, 'UTC') DEFAULT now64(3))" +
			" ENGINE = " + c.Engine("MergeTree", "schema_versions") + " ORDER BY (component, version)",
	}
}

// upgrade brings a schema from a version to the next.
func (c *Client) upgrade(ctx context.Context, s Schema, version int) error {
	for _, statement := range s.Versions[version] {
		if err := c.run(ctx, statement); err != nil {
			return err
		}
	}
	return c.run(ctx, fmt.Sprintf("INSERT INTO %s (component, version) SETTINGS async_insert = 0 VALUES (%s, %d)",
		c.Table("schema_versions"), Quote(s.Component), version+1))
}

func (c *Client) run(ctx context.Context, statement string) error {
	if err := c.Exec(ctx, statement); err != nil {
		return fmt.Errorf("run %q: %w", firstLine(statement), err)
	}
	return nil
}

func firstLine(statement string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(statement), "\n")
	return line
}

// OnCluster returns the clause that makes a statement run on every server of the cluster; empty without one.
func (c *Client) OnCluster() string {
	if c.cfg.Cluster == "" {
		return ""
	}
	return " ON CLUSTER `" + c.cfg.Cluster + "`"
}

// Engine returns a table's engine of the MergeTree family, replicated on a cluster.
func (c *Client) Engine(family, table string, args ...string) string {
	if c.cfg.Cluster != "" {
		path := "/clickhouse/tables/{shard}/" + c.cfg.Database + "/" + table
		family, args = "Replicated"+family, append([]string{Quote(path), "'{replica}'"}, args...)
	}
	return family + "(" + strings.Join(args, ", ") + ")"
}

// Replicated tells whether tables are replicated.
func (c *Client) Replicated() bool { return c.cfg.Cluster != "" }

// Quote returns a text as a literal.
func Quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
