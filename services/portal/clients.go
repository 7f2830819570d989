package portal

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/fieldlog/fieldlog/internal/story"
	"github.com/fieldlog/fieldlog/schemas"
)

// clientList is the page of clients.
type clientList struct {
	orderList
	Archtypes, Hardware []string
}

func (p *Portal) listClients(v *visit) error {
	found, err := p.find(v, "")
	if err != nil {
		return err
	}
	data := clientList{orderList: found, Archtypes: schemas.Archtypes(), Hardware: schemas.HardwareClasses()}
	return v.showLive("clients", "Clients", "/live", data)
}

// clientPage is all about one client.
type clientPage struct {
	client
	// Only is the order whose events are shown, empty for all.
	Only     string
	Timeline []story.Chapter // newest first
	Cut      bool            // there is more
	Devices  []device
	Metrics  []string
	Metric   string
	NoTables string // why there are no readings
}

const (
	maxHistory = 300
	maxDevices = 50
	maxSeries  = 8 // of a chart
)

func (p *Portal) showClient(v *visit) error {
	name := v.r.PathValue("client")
	ctx, cancel := v.within(30 * time.Second)
	defer cancel()
	found, err := p.api.clientOf(ctx, name, url.Values{"history": {"300"}})
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	data := clientPage{client: found, Only: q.Get("order"), Metric: q.Get("metric"), Cut: len(found.History) == maxHistory}
	slices.SortStableFunc(data.Orders, func(a, b order) int { return b.Last().Compare(a.Last()) })
	for _, t := range slices.Backward(found.History) {
		words := story.Describe(t.Kind, t.Event)
		if data.Only == "" || words.OrderID == data.Only {
			data.Timeline = append(data.Timeline, story.Chapter{
				Time: t.Recorded, Topic: t.Topic, Partition: t.Partition, Offset: t.Offset, Kind: t.Kind, Words: words, Event: t.Event,
			})
		}
	}
	p.addReadings(ctx, name, &data)
	return v.showLive("client", name, "/live?client="+url.QueryEscape(name), data)
}

// device is a device with what it reported last.
type device struct {
	Name   string
	Seen   time.Time
	Values map[string]string
}

// addReadings adds what ClickHouse has, or why it has not.
func (p *Portal) addReadings(ctx context.Context, name string, data *clientPage) {
	if p.sources.Tables == nil {
		data.NoTables = "No ClickHouse is given to the portal."
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var err error
	if data.Devices, err = p.devices(ctx, name); err == nil && len(data.Devices) > 0 {
		data.Metrics, err = p.metricsOf(ctx, name)
	}
	if err != nil {
		p.logger.Warn("cannot show readings", "client", name, "error", err)
		data.NoTables = "ClickHouse does not answer now."
		return
	}
	if len(data.Metrics) > 0 && !slices.Contains(data.Metrics, data.Metric) {
		data.Metric = data.Metrics[0]
	}
}

func (p *Portal) devices(ctx context.Context, name string) ([]device, error) {
	t := p.sources.Tables
	rows, err := t.Query(ctx, "SELECT device, last_seen, `values` FROM "+t.Table("devices")+" WHERE client = ? ORDER BY device LIMIT ?", name, maxDevices)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	var all []device
	for rows.Next() {
		var d device
		if err := rows.Scan(&d.Name, &d.Seen, &d.Values); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

// metricsOf returns what a client's devices measured in the last hours, what most of them measure first.
func (p *Portal) metricsOf(ctx context.Context, name string) ([]string, error) {
	t := p.sources.Tables
	rows, err := t.Query(ctx, "SELECT metric FROM "+t.Table("readings_1m")+
		" WHERE client = ? AND time > now() - INTERVAL 6 HOUR GROUP BY metric HAVING min(min) < max(max) ORDER BY uniq(device) DESC, metric LIMIT 20", name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	var all []string
	for rows.Next() {
		var metric string
		if err := rows.Scan(&metric); err != nil {
			return nil, err
		}
		all = append(all, metric)
	}
	return all, rows.Err()
}
