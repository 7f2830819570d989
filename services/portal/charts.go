package portal

import (
	"maps"
	"math"
	"net/http"
	"slices"
	"time"
)

// chart is what the script draws. The first column of its data is the time, in seconds since 1970; each series has one more, as long,
// in which nil is a point that the series lacks.
type chart struct {
	Kind   string       `json:"kind"` // line, bars, points
	Series []string     `json:"series"`
	Data   [][]*float64 `json:"data"`
	Every  string       `json:"every,omitempty"` // what a bar covers
}

// columns collects points of several series over one axis.
type columns struct {
	points map[float64]map[string]float64
	labels map[string]bool
}

func newColumns() *columns {
	return &columns{points: map[float64]map[string]float64{}, labels: map[string]bool{}}
}

func (c *columns) add(x float64, label string, y float64) {
	if math.IsNaN(y) || math.IsInf(y, 0) {
		return // JSON has none
	}
	if c.points[x] == nil {
		c.points[x] = map[string]float64{}
	}
	c.points[x][label] += y
	c.labels[label] = true
}

// chart returns the points in the order of the axis, the series in that of their names; a point that a series lacks is null.
func (c *columns) chart(kind string) chart {
	made := chart{Kind: kind, Series: slices.Sorted(maps.Keys(c.labels))}
	made.Data = make([][]*float64, len(made.Series)+1)
	for i := range made.Data {
		made.Data[i] = []*float64{}
	}
	for _, x := range slices.Sorted(maps.Keys(c.points)) {
		made.Data[0] = append(made.Data[0], &x)
		for i, label := range made.Series {
			var y *float64
			if value, there := c.points[x][label]; there {
				y = &value
			}
			made.Data[i+1] = append(made.Data[i+1], y)
		}
	}
	return made
}

// draw asks ClickHouse for points, each a label, a time and a value, and answers the chart of them.
func (p *Portal) draw(v *visit, kind, every, query string, args ...any) error {
	rows, err := p.sources.Tables.Query(v.r.Context(), query, args...)
	if err != nil {
		return &unreachable{err}
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	table := newColumns()
	for rows.Next() {
		var label string
		var at time.Time
		var value float64
		if err := rows.Scan(&label, &at, &value); err != nil {
			return err
		}
		table.add(float64(at.UnixMicro())/1e6, label, value)
	}
	if err := rows.Err(); err != nil {
		return &unreachable{err}
	}
	made := table.chart(kind)
	made.Every = every
	return v.json(made)
}

// drawn wraps a chart of what ClickHouse has.
func (p *Portal) drawn(answer func(*visit) error) func(*visit) error {
	return bounded(15*time.Second, func(v *visit) error {
		if p.sources.Tables == nil {
			return fail(http.StatusNotFound, "No ClickHouse is given to the portal.")
		}
		return answer(v)
	})
}

// readingsChart answers one metric of a client's devices, a point a minute, over six hours.
func (p *Portal) readingsChart(v *visit) error {
	t, name, metric := p.sources.Tables, v.r.PathValue("client"), v.r.URL.Query().Get("metric")
	return p.draw(v, "line", "", "SELECT device, time, avg FROM "+t.Table("readings_1m")+
		" WHERE client = ? AND metric = ? AND time > now() - INTERVAL 6 HOUR AND device IN (SELECT device FROM "+t.Table("devices")+
		" WHERE client = ? ORDER BY device LIMIT ?) ORDER BY time LIMIT 10000", name, metric, name, maxSeries)
}

// ordersChart answers how many orders of each product were placed, a bar a week; a day, an hour or five minutes where all are younger.
func (p *Portal) ordersChart(v *visit) error {
	t := p.sources.Tables
	var first time.Time
	if err := t.Scan(v.r.Context(), "SELECT min(placed) FROM "+t.Table("orders"), &first); err != nil {
		return &unreachable{err}
	}
	interval, every := bucketOf(time.Since(first))
	return p.draw(v, "bars", every, "SELECT product, toDateTime(toStartOfInterval(placed, INTERVAL "+interval+"), 'UTC') AS time, toFloat64(count()) FROM "+
		t.Table("orders")+" GROUP BY product, time ORDER BY time DESC LIMIT 5000")
}

// bucketOf returns what a bar covers, for ClickHouse and for people; weeks begin on Monday.
func bucketOf(span time.Duration) (interval, every string) {
	const day = 24 * time.Hour
	switch {
	case span < 3*time.Hour:
		return "5 MINUTE", "5 minutes"
	case span < 3*day:
		return "1 HOUR", "hour"
	case span < 60*day:
		return "1 DAY", "day"
	}
	return "1 WEEK", "week"
}

// timesChart answers how long it took from an order to ready, a point an order.
func (p *Portal) timesChart(v *visit) error {
	return p.draw(v, "points", "", "SELECT product, assumeNotNull(ready) AS time, avg(assumeNotNull(provision_seconds)) FROM "+
		p.sources.Tables.Table("orders")+" WHERE ready IS NOT NULL GROUP BY product, time ORDER BY time DESC LIMIT 5000")
}
