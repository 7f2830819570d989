package analytics

import (
	"context"
	"fmt"
	"regexp"
	"strconv"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
)

// expiry is a table's retention: days after an expression of its rows, 0 for none.
type expiry struct {
	table, after string
	days         int
}

func (s schema) expiries() []expiry {
	r := s.cfg.Retention
	return []expiry{
		{"readings", "toDateTime(time)", r.Readings},
		{"reports", "toDateTime(received_time)", r.Reports},
		{"duplicates", "toDateTime(appended)", r.Duplicates},
		{"readings_1m", "time", r.Minutes},
		{"readings_1h", "time", r.Hours},
		{"readings_1d", "time", r.Days},
		{"devices", "toDateTime(time)", r.Devices},
	}
}

// retain makes each table's TTL what the configuration says. A TTL that is right already is left alone: to set it makes
// the server look at every part.
func (s schema) retain(ctx context.Context) error {
	for _, e := range s.expiries() {
		days, err := s.retained(ctx, e.table)
		if err != nil {
			return err
		}
		if days == e.days {
			continue
		}
		if err := s.ch.Exec(ctx, s.retention(e)); err != nil {
			return fmt.Errorf("set retention of table %q to %d days: %w", e.table, e.days, err)
		}
	}
	return nil
}

func (s schema) retention(e expiry) string {
	alter := "ALTER TABLE " + s.Table(e.table) + s.OnCluster()
	if e.days == 0 {
		return alter + " REMOVE TTL"
	}
	return fmt.Sprintf("%s MODIFY TTL %s + toIntervalDay(%d)", alter, e.after, e.days)
}

var ttl = regexp.MustCompile(`\bTTL .*toIntervalDay\((\d+)\)`)

// retained returns a table's retention in days as it is, 0 for none.
func (s schema) retained(ctx context.Context, table string) (int, error) {
	var engine string
	query := fmt.Sprintf("SELECT engine_full FROM system.tables WHERE database = %s AND name = %s",
		clickhouse.Quote(s.ch.Database()), clickhouse.Quote(tableOf(table, s.cfg.Generation)))
	if err := s.ch.Scan(ctx, query, &engine); err != nil {
		return 0, fmt.Errorf("read retention of table %q: %w", table, err)
	}
	if found := ttl.FindStringSubmatch(engine); found != nil {
		return strconv.Atoi(found[1])
	}
	return 0, nil
}
