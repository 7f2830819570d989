package portal

import (
	"cmp"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/fieldlog/fieldlog/schemas"
)

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
func (c *columns) chart(kind, unit string) chart {
	made := chart{Kind: kind, Unit: unit, Series: slices.Sorted(maps.Keys(c.labels))}
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

// maxCharted bounds the orders that a chart is made of.
const maxCharted = 5000

// everyOrder returns the orders that the gateway knows, at most maxCharted.
func (p *Portal) everyOrder(v *visit) ([]order, error) {
	var all []order
	query := url.Values{"limit": {strconv.Itoa(1000)}}
	for len(all) < maxCharted {
		page, err := p.api.orders(v.r.Context(), query)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Orders...)
		if page.Next == "" {
			break
		}
		query.Set("after", page.Next)
	}
	return all[:min(len(all), maxCharted)], nil
}

// ordersChart answers how many orders were placed, a bar a week; a day, an hour or five minutes where all are younger.
func (p *Portal) ordersChart(v *visit) error {
	all, err := p.everyOrder(v)
	if err != nil {
		return err
	}
	first := time.Now()
	for _, o := range all {
		if !o.Placed.IsZero() && o.Placed.Before(first) {
			first = o.Placed
		}
	}
	every, width := bucketFor(time.Since(first))
	table := newColumns()
	for _, o := range all {
		if !o.Placed.IsZero() {
			table.add(float64(beginning(o.Placed, width).Unix()), o.Product, 1)
		}
	}
	made := table.chart("bars", "orders")
	made.Every = every
	return v.json(made)
}

func bucketFor(span time.Duration) (name string, width time.Duration) {
	const day = 24 * time.Hour
	switch {
	case span < 3*time.Hour:
		return "5 minutes", 5 * time.Minute
	case span < 3*day:
		return "hour", time.Hour
	case span < 60*day:
		return "day", day
	}
	return "week", 7 * day
}

// beginning returns where a bucket begins; weeks begin on Monday.
func beginning(t time.Time, width time.Duration) time.Time {
	return t.UTC().Truncate(width) // Go's zero time is a Monday
}

// timesChart answers how long it took from a request to ready, a point an order.
func (p *Portal) timesChart(v *visit) error {
	all, err := p.everyOrder(v)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b order) int { return cmp.Compare(a.Told.UnixNano(), b.Told.UnixNano()) })
	table := newColumns()
	for _, o := range all {
		if o.Status == schemas.OrderStatusReady && o.Told.After(o.Updated) {
			table.points[float64(o.Told.UnixMilli())/1000] = map[string]float64{"time to ready": o.Told.Sub(o.Updated).Seconds()}
			table.labels["time to ready"] = true
		}
	}
	return v.json(table.chart("points", "s"))
}
