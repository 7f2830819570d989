package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// compareTables expects of every record at or behind the given offsets all its readings, once each, and one report; of one that
// repeats another only that this is noted, once.
func (c *checker) compareTables(ctx context.Context, begin map[eventlog.Partition]eventlog.Offset) error {
	behind := after(begin) + " GROUP BY partition, `offset`"
	rows, err := c.engines.query(ctx, "SELECT partition, `offset`, sum(n), sum(distinct), sum(reports), sum(repeats) FROM ("+
		"SELECT partition, `offset`, count() AS n, uniqExact(`index`) AS distinct, 0 AS reports, 0 AS repeats FROM fieldlog.readings WHERE "+behind+
		" UNION ALL SELECT partition, `offset`, 0, 0, count(), 0 FROM fieldlog.reports WHERE "+behind+
		" UNION ALL SELECT partition, `offset`, 0, 0, 0, count() FROM fieldlog.duplicates WHERE "+behind+
		") GROUP BY partition, `offset`")
	if err != nil {
		return err
	}
	stored := map[eventlog.Position]struct{}{}
	for _, row := range rows {
		var at eventlog.Position
		var is rowsOf
		if _, err := fmt.Sscan(row, &at.Partition, &at.Offset, &is.readings, &is.distinct, &is.reports, &is.repeats); err != nil {
			return fmt.Errorf("read %q: %w", row, err)
		}
		stored[at] = struct{}{}
		c.compareRecord(at, is)
	}
	for p, l := range c.ledgers {
		for o := int(begin[p]); o < len(l.records); o++ {
			at := eventlog.Position{Partition: p, Offset: eventlog.Offset(o)}
			if _, there := stored[at]; !there && l.records[o].readings > 0 {
				c.violate(missing, "record %d of partition %d is not stored", o, p)
			}
		}
	}
	return nil
}

// rowsOf counts the rows of a record.
type rowsOf struct{ readings, distinct, reports, repeats uint32 }

func (c *checker) compareRecord(at eventlog.Position, is rowsOf) {
	var record seen
	if held := c.ledgers[at.Partition].all(); int(at.Offset) < len(held) {
		record = held[at.Offset]
	}
	want := rowsOf{record.readings, record.readings, 1, 0}
	if record.repeats {
		want = rowsOf{repeats: 1}
	}
	switch {
	case record.readings == 0:
		c.violate(misplaced, "record %d of partition %d is stored and not in the log", at.Offset, at.Partition)
	case is.readings > want.readings || is.reports > want.reports || is.repeats > want.repeats:
		c.violate(doubled, "record %d of partition %d is stored as %+v, should be %+v", at.Offset, at.Partition, is, want)
	case is != want:
		c.violate(missing, "record %d of partition %d is stored as %+v, should be %+v", at.Offset, at.Partition, is, want)
	}
}

// compareTotals expects as many rows in the whole of each table as the whole log gives, so that what a late insert doubles far
// back is noticed at once.
func (c *checker) compareTotals(ctx context.Context, ends map[eventlog.Partition]eventlog.Range) error {
	records, readings, repeats := 0, 0, 0
	for p := range ends {
		for _, r := range c.ledgers[p].all() {
			switch {
			case r.repeats:
				repeats++
			case r.readings > 0:
				records, readings = records+1, readings+int(r.readings)
			}
		}
	}
	const texts = 1 // of a report's readings; they have no rollups
	for query, want := range map[string]int{
		"SELECT count() FROM fieldlog.readings":                  readings,
		"SELECT count() FROM fieldlog.reports":                   records,
		"SELECT count() FROM fieldlog.duplicates":                repeats,
		"SELECT toUInt64(sum(readings)) FROM fieldlog.reports":   readings,
		"SELECT toUInt64(sum(count)) FROM fieldlog.readings_1m":  readings - texts*records,
		"SELECT toUInt64(sum(count)) FROM fieldlog.readings_1h":  readings - texts*records,
		"SELECT toUInt64(sum(count)) FROM fieldlog.readings_1d ": readings - texts*records,
	} {
		if err := c.compareTotal(ctx, query, want); err != nil {
			return err
		}
	}
	return c.compareOwnView(ctx, readings)
}

func (c *checker) compareTotal(ctx context.Context, query string, want int) error {
	got, err := c.number(ctx, query)
	switch {
	case err != nil:
		return err
	case got > want:
		c.violate(doubled, "%s gives %d, the log says %d", query, got, want)
	case got < want:
		c.violate(missing, "%s gives %d, the log says %d", query, got, want)
	}
	return nil
}

func (c *checker) number(ctx context.Context, query string) (n int, err error) {
	rows, err := c.engines.query(ctx, query)
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscan(rows[0], &n); err != nil {
		return 0, fmt.Errorf("read %q: %w", rows[0], err)
	}
	return n, nil
}

// compareOwnView expects every reading in the operator's view once, while ClickHouse lives. It may lose or double a block of a view
// when it is killed between the table and the view, which nobody but the view's owner can mend: that is done here.
func (c *checker) compareOwnView(ctx context.Context, readings int) error {
	const total = "SELECT toUInt64(sum(n)) FROM fieldlog.own_totals"
	lived, err := c.number(ctx, "SELECT count() FROM fieldlog.own_witness")
	if err != nil {
		return err
	}
	if lived == 1 {
		return c.compareTotal(ctx, total, readings)
	}
	got, err := c.number(ctx, total)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		fmt.Sprintf("INSERT INTO fieldlog.own_totals VALUES ('', %d)", uint64(readings)-uint64(got)), // sums are modulo 2^64
		"INSERT INTO fieldlog.own_witness VALUES (1)",
	} {
		if _, err := c.engines.query(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (l *ledger) all() []seen {
	if l == nil {
		return nil
	}
	return l.records
}

// ownView is a view such as an operator may add: its table is fed by what goes into readings, and is not partitioned. The witness
// is in memory: it tells that ClickHouse has not been started again.
var ownView = []string{
	"CREATE TABLE fieldlog.own_witness (lives UInt8) ENGINE = Memory",
	"INSERT INTO fieldlog.own_witness VALUES (1)",
	"CREATE TABLE fieldlog.own_totals (client LowCardinality(String), n SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY client SETTINGS non_replicated_deduplication_window = 10000",
	"CREATE MATERIALIZED VIEW fieldlog.own_view TO fieldlog.own_totals AS SELECT client, count() AS n FROM fieldlog.readings_g1 GROUP BY client",
}

// rollups are the tables of buckets, with the function that begins a bucket.
var rollups = map[string]string{"readings_1m": "toStartOfMinute", "readings_1h": "toStartOfHour", "readings_1d": "toStartOfDay"}

// compareRollups compares each rollup with what the readings say.
func (c *checker) compareRollups(ctx context.Context, clients string) error {
	which := fmt.Sprintf("startsWith(client, '%s')", clients)
	for table, start := range rollups {
		const same = "client, device, metric, toUnixTimestamp(%s) AS t, toUInt64(%s), toFloat64(%s), toFloat64(%s), toFloat64(%s), toFloat64(%s)"
		stored := fmt.Sprintf("SELECT "+same+" FROM fieldlog.%s WHERE "+which, "time", "count", "min", "max", "sum", "last", table)
		derived := fmt.Sprintf("SELECT "+same+" FROM fieldlog.readings WHERE type != 'text' AND "+which+" GROUP BY client, device, metric, t",
			start+"(time)", "count()", "min(value)", "max(value)", "sum(value)", "argMax(value, (time, partition, `offset`, `index`))")
		for _, query := range []string{stored + " EXCEPT " + derived, derived + " EXCEPT " + stored} {
			rows, err := c.engines.query(ctx, query)
			if err != nil {
				return err
			}
			if len(rows) > 0 {
				c.violate(rollup, "%s differs from its readings in %d buckets, such as %q", table, len(rows), rows[0])
			}
		}
	}
	return nil
}

// query asks ClickHouse, as curl would, and returns the lines of the answer.
func query(ctx context.Context, clickhouse, sql string) ([]string, error) {
	text, err := ask(ctx, http.MethodPost, clickhouse, sql)
	if err != nil {
		return nil, fmt.Errorf("%.200s: %w", sql, err)
	}
	if len(text) == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"), nil
}

func get(ctx context.Context, address string) ([]byte, error) {
	return ask(ctx, http.MethodGet, address, "")
}

func ask(ctx context.Context, method, address, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the answer is %d: %.500s", resp.StatusCode, text)
	}
	return text, err
}

// registryIDs returns the id of every version of every subject.
func registryIDs(ctx context.Context, registry string) (string, error) {
	var subjects []string
	if err := getJSON(ctx, registry+"/subjects", &subjects); err != nil {
		return "", err
	}
	slices.Sort(subjects)
	var all []string
	for _, subject := range subjects {
		path := registry + "/subjects/" + url.PathEscape(subject) + "/versions"
		var versions []int
		if err := getJSON(ctx, path, &versions); err != nil {
			return "", err
		}
		for _, v := range versions {
			var answer struct{ ID int }
			if err := getJSON(ctx, fmt.Sprintf("%s/%d", path, v), &answer); err != nil {
				return "", err
			}
			all = append(all, fmt.Sprintf("%s v%d: %d", subject, v, answer.ID))
		}
	}
	return strings.Join(all, ", "), nil
}

func getJSON(ctx context.Context, address string, answer any) error {
	text, err := get(ctx, address)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, answer)
}
