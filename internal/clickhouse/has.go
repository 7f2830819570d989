package clickhouse

import (
	"context"
	"errors"
	"fmt"
)

// Has tells whether a row of a table meets a condition; arguments replace ? in it. A sure answer reflects every insert that ended
// before. Of a table that several servers share it is not: another one may know more.
func (c *Client) Has(ctx context.Context, table, condition string, args ...any) (there, sure bool, err error) {
	rows, err := c.Query(ctx, fmt.Sprintf(
		"SELECT count() > 0, (SELECT engine IN ('MergeTree', 'AggregatingMergeTree') FROM system.tables WHERE database = %s AND name = %s) FROM %s WHERE %s",
		Quote(c.cfg.Database), Quote(table), c.Table(table), condition), args...)
	if err != nil {
		return false, false, fmt.Errorf("look into %q: %w", table, err)
	}
	var found, alone uint8
	if rows.Next() {
		err = rows.Scan(&found, &alone)
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return false, false, fmt.Errorf("look into %q: %w", table, err)
	}
	return found == 1, alone == 1, nil
}
