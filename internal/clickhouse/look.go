package clickhouse

import (
	"context"
	"errors"
	"fmt"
)

// Sight is what Look saw.
type Sight struct {
	// There says that a row meets the condition.
	There bool
	// Sure says that There reflects every insert that ended before. Of a table that several servers share it need not: another one
	// may know more.
	Sure bool
	// Watched says that materialized views depend on the table.
	Watched bool
}

// Look tells whether a row of a table meets a condition, in which arguments replace ?.
func (c *Client) Look(ctx context.Context, table, condition string, args ...any) (Sight, error) {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT (SELECT count() > 0 FROM %s WHERE %s), engine IN ('MergeTree', 'AggregatingMergeTree'), notEmpty(dependencies_table)"+
		" FROM system.tables WHERE database = %s AND name = %s", c.Table(table), condition, Quote(c.cfg.Database), Quote(table)), args...)
	if err != nil {
		return Sight{}, fmt.Errorf("look into %q: %w", table, err)
	}
	var there, sure, watched uint8
	if rows.Next() {
		err = rows.Scan(&there, &sure, &watched)
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return Sight{}, fmt.Errorf("look into %q: %w", table, err)
	}
	return Sight{There: there == 1, Sure: sure == 1, Watched: watched == 1}, nil
}
