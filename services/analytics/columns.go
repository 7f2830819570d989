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

// collapseAt is the number of rows a series has in a block from which on merging them while they are inserted costs less
// than storing and merging them later.
const collapseAt = 4

// readings returns the insert of one month's readings.
func (s *store) readings(c *readings.Readings) clickhouse.InsertOptions {
	table, n := tableOf("readings", s.sink.cfg.Generation), c.Rows()
	return clickhouse.InsertOptions{
		Table: table, Token: s.token(table, c.Month), Rows: n, Collapse: n >= collapseAt*c.Series,
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
			{Name: "partition", Type: "UInt32", Data: clickhouse.SameUint32(uint32(s.of.Partition), n)},
			{Name: "offset", Type: "UInt64", Data: clickhouse.Numbers(c.Offset)},
			{Name: "index", Type: "UInt32", Data: clickhouse.Numbers(c.Index)},
		},
	}
}

// reports returns the insert of one month's reports.
func (s *store) reports(c *readings.Reports) clickhouse.InsertOptions {
	table, n := tableOf("reports", s.sink.cfg.Generation), c.Rows()
	labels := clickhouse.Map(c.LabelEnds, packed(&c.LabelNames), packed(&c.LabelValues))
	return clickhouse.InsertOptions{
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
			{Name: "partition", Type: "UInt32", Data: clickhouse.SameUint32(uint32(s.of.Partition), n)},
			{Name: "offset", Type: "UInt64", Data: clickhouse.Numbers(c.Offset)},
		},
	}
}

func texts(name string, c *readings.Coded) clickhouse.Column {
	return clickhouse.Column{Name: name, Type: lowCardinality, Data: clickhouse.Coded(c.Index, c.Values)}
}

func packed(t *readings.Texts) clickhouse.Data { return clickhouse.Packed(t.Packed, t.Rows) }
