package analytics

import (
	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/projections/readings"
)

// The types of the columns as they are sent.
const (
	lowCardinality = "LowCardinality(String)"
	micros         = "DateTime64(6, 'UTC')"
	valueType      = "Enum8('double' = 0, 'integer' = 1, 'boolean' = 2, 'text' = 3)"
)

// readings returns the insert of one month's readings.
func (s *store) readings(c *readings.Readings) group {
	table, n := tableOf("readings", s.sink.cfg.Generation), c.Rows()
	return group{InsertOptions: clickhouse.InsertOptions{
		Table: table, Token: s.token(table, c.Month), Rows: n,
		Columns: []clickhouse.Column{
			texts("client", &c.Client),
			texts("device", &c.Device),
			texts("metric", &c.Metric),
			{Name: "time", Type: micros, Data: clickhouse.Numbers(c.Time)},
			{Name: "type", Type: valueType, Data: clickhouse.Numbers(c.Type)},
			{Name: "value", Type: "Float64", Data: clickhouse.Numbers(c.Value)},
			{Name: "integer", Type: "Int64", Data: clickhouse.Numbers(c.Integer)},
			texts("text", &c.Text),
			texts("unit", &c.Unit),
			{Name: "received", Type: micros, Data: clickhouse.Numbers(c.Received)},
			{Name: "topic", Type: lowCardinality, Data: clickhouse.Same(string(s.of.Topic), n)},
			{Name: "topic_id", Type: lowCardinality, Data: clickhouse.Same(s.of.TopicID.String(), n)},
			{Name: "partition", Type: "UInt32", Data: clickhouse.SameUint32(uint32(s.of.Partition), n)},
			{Name: "offset", Type: "UInt64", Data: clickhouse.Numbers(c.Offset)},
			{Name: "index", Type: "UInt32", Data: clickhouse.Numbers(c.Index)},
		},
	}, witness: func() witness { return s.readingsWitness(c) }}
}

// rollup returns the insert of what one month's readings add to a table of buckets.
func (s *store) rollup(name string, c *readings.Readings, r *readings.Rollup) group {
	table := tableOf(name, s.sink.cfg.Generation)
	return group{InsertOptions: clickhouse.InsertOptions{
		Table: table, Token: s.token(table, c.Month), Rows: r.Rows(),
		Columns: []clickhouse.Column{
			coded("client", r.Client, &c.Client),
			coded("device", r.Device, &c.Device),
			coded("metric", r.Metric, &c.Metric),
			{Name: "time", Type: "DateTime('UTC')", Data: clickhouse.Numbers(r.Time)},
			{Name: "count", Type: "UInt64", Data: clickhouse.Numbers(r.Count)},
			{Name: "min", Type: "Float64", Data: clickhouse.Numbers(r.Min)},
			{Name: "max", Type: "Float64", Data: clickhouse.Numbers(r.Max)},
			{Name: "sum", Type: "Float64", Data: clickhouse.Numbers(r.Sum)},
			{Name: "latest", Type: "UInt256", Data: clickhouse.Numbers(r.Latest)},
		},
	}, witness: func() witness { return s.rollupWitness(r.Time[0]) }}
}

// devices returns the insert of what one month's readings tell of their devices.
func (s *store) devices(c *readings.Readings) group {
	table, d := tableOf("devices", s.sink.cfg.Generation), &c.Summary.Devices
	return group{InsertOptions: clickhouse.InsertOptions{
		Table: table, Token: s.token(table, c.Month), Rows: d.Rows(),
		Columns: []clickhouse.Column{
			coded("client", d.Client, &c.Client),
			coded("device", d.Device, &c.Device),
			coded("metric", d.Metric, &c.Metric),
			{Name: "month", Type: "UInt32", Data: clickhouse.SameUint32(uint32(c.Month), d.Rows())},
			{Name: "time", Type: micros, Data: clickhouse.Numbers(d.Time)},
			{Name: "received", Type: micros, Data: clickhouse.Numbers(d.Received)},
			{Name: "latest", Type: "String", Data: packed(&d.Latest)},
		},
	}, witness: func() witness { return s.devicesWitness(c.Month) }}
}

// reports returns the insert of one month's reports.
func (s *store) reports(c *readings.Reports) group {
	table, n := tableOf("reports", s.sink.cfg.Generation), c.Rows()
	labels := clickhouse.Map(c.LabelEnds, packed(&c.LabelNames), packed(&c.LabelValues))
	return group{InsertOptions: clickhouse.InsertOptions{
		Table: table, Token: s.token(table, c.Month), Rows: n,
		Columns: []clickhouse.Column{
			texts("client", &c.Client),
			texts("device", &c.Device),
			{Name: "received_time", Type: micros, Data: clickhouse.Numbers(c.ReceivedTime)},
			{Name: "event_time", Type: micros, Data: clickhouse.Numbers(c.EventTime)},
			{Name: "event_id", Type: "String", Data: packed(&c.EventID)},
			texts("event_type", &c.EventType),
			{Name: "trace_id", Type: "String", Data: packed(&c.TraceID)},
			{Name: "attempt", Type: "Int32", Data: clickhouse.Numbers(c.Attempt)},
			{Name: "labels", Type: "Map(String, String)", Data: labels},
			texts("origin", &c.Origin),
			texts("host", &c.Host),
			texts("publisher", &c.Publisher),
			{Name: "readings", Type: "UInt32", Data: clickhouse.Numbers(c.Readings)},
			{Name: "topic", Type: lowCardinality, Data: clickhouse.Same(string(s.of.Topic), n)},
			{Name: "topic_id", Type: lowCardinality, Data: clickhouse.Same(s.of.TopicID.String(), n)},
			{Name: "partition", Type: "UInt32", Data: clickhouse.SameUint32(uint32(s.of.Partition), n)},
			{Name: "offset", Type: "UInt64", Data: clickhouse.Numbers(c.Offset)},
		},
	}, witness: func() witness { return s.reportsWitness(c) }}
}

// duplicates returns the insert of one month's duplicates.
func (s *store) duplicates(c *readings.Duplicates) group {
	table, n := tableOf("duplicates", s.sink.cfg.Generation), c.Rows()
	return group{InsertOptions: clickhouse.InsertOptions{
		Table: table, Token: s.token(table, c.Month), Rows: n,
		Columns: []clickhouse.Column{
			texts("client", &c.Client),
			texts("device", &c.Device),
			{Name: "event_id", Type: "String", Data: packed(&c.EventID)},
			{Name: "appended", Type: micros, Data: clickhouse.Numbers(c.Appended)},
			{Name: "topic", Type: lowCardinality, Data: clickhouse.Same(string(s.of.Topic), n)},
			{Name: "topic_id", Type: lowCardinality, Data: clickhouse.Same(s.of.TopicID.String(), n)},
			{Name: "partition", Type: "UInt32", Data: clickhouse.SameUint32(uint32(s.of.Partition), n)},
			{Name: "offset", Type: "UInt64", Data: clickhouse.Numbers(c.Offset)},
			{Name: "original", Type: "UInt64", Data: clickhouse.Numbers(c.Original)},
		},
	}, witness: func() witness { return s.duplicatesWitness(c) }}
}

func texts(name string, c *readings.Coded) clickhouse.Column {
	return clickhouse.Column{Name: name, Type: lowCardinality, Data: clickhouse.Coded(c.Index, c.Values)}
}

func coded(name string, index []uint32, c *readings.Coded) clickhouse.Column {
	return clickhouse.Column{Name: name, Type: lowCardinality, Data: clickhouse.Coded(index, c.Values)}
}

func packed(t *readings.Texts) clickhouse.Data { return clickhouse.Packed(t.Packed, t.Rows) }
