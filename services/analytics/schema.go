package analytics

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
)

//go:embed ddl/*.sql
var ddl embed.FS

// Views are the public names, which ddl/views.sql makes.
func Views() []string {
	return []string{
		"readings", "reports", "duplicates", "readings_1m", "readings_1h", "readings_1d", "devices", "order_facts", "orders", "clients",
	}
}

// schema renders the statements of one generation.
type schema struct {
	cfg Config
	ch  *clickhouse.Client
}

// Rollups lists the tables of buckets.
func (s schema) Rollups() []string { return []string{"readings_1m", "readings_1h", "readings_1d"} }

// tableOf returns a generation's name of a table.
func tableOf(name string, generation int) string { return fmt.Sprintf("%s_g%d", name, generation) }

// Table returns this generation's table, quoted.
func (s schema) Table(name string) string { return s.ch.Table(tableOf(name, s.cfg.Generation)) }

// Public returns a public name, quoted.
func (s schema) Public(name string) string { return s.ch.Table(name) }

// OnCluster returns the clause of a cluster.
func (s schema) OnCluster() string { return s.ch.OnCluster() }

// Engine returns the engine of this generation's table.
func (s schema) Engine(family, name string) string {
	return s.ch.Engine(family, tableOf(name, s.cfg.Generation))
}

// partSettings keep a part in one file until it is larger than any block of ours, because each file of a part is a wait for
// the disk; and drop a part as a whole, once all its rows are due.
const partSettings = ", ttl_only_drop_parts = 1, min_bytes_for_wide_part = 134217728"

// Settings returns the settings that every table has.
func (s schema) Settings() string {
	if s.ch.Replicated() {
		return fmt.Sprintf("SETTINGS replicated_deduplication_window = %d, replicated_deduplication_window_seconds = 604800",
			s.cfg.DedupWindow) + partSettings
	}
	settings := fmt.Sprintf("SETTINGS non_replicated_deduplication_window = %d", s.cfg.DedupWindow) + partSettings
	if !s.cfg.NoSync {
		settings += ", fsync_after_insert = 1, fsync_part_directory = 1"
	}
	return settings
}

// apply brings the database up to date.
func (s schema) apply(ctx context.Context) error {
	version1, err := s.statements("v1.sql")
	if err != nil {
		return err
	}
	version2, err := s.statements("v2.sql")
	if err != nil {
		return err
	}
	wanted := clickhouse.Schema{Component: tableOf("analytics", s.cfg.Generation), Versions: [][]string{version1, version2}}
	if !s.cfg.Shadow {
		if wanted.Settle, err = s.statements("views.sql"); err != nil {
			return err
		}
	}
	if err := s.ch.Apply(ctx, wanted); err != nil {
		return err
	}
	return s.retain(ctx)
}

var comment = regexp.MustCompile(`(?m)^--.*\n`)

// statements renders a file and splits it.
func (s schema) statements(file string) ([]string, error) {
	t, err := template.ParseFS(ddl, "ddl/"+file)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, s); err != nil {
		return nil, fmt.Errorf("render %s: %w", file, err)
	}
	var statements []string
	for _, statement := range strings.Split(comment.ReplaceAllString(text.String(), ""), ";\n") {
		if statement = strings.TrimSpace(statement); statement != "" {
			statements = append(statements, statement)
		}
	}
	return statements, nil
}
