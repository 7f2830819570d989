-- Version 1: the tables of one generation. Each is filled by inserts of its own. Each statement is harmless when it is run again.

-- A row a reading. Sorted as trends ask for it.
CREATE TABLE IF NOT EXISTS {{.Table "readings"}}{{.OnCluster}}
(
    client    LowCardinality(String) COMMENT 'owner of the device',
    device    LowCardinality(String) COMMENT 'unique within its client',
    metric    LowCardinality(String) COMMENT 'what was measured',
    time      DateTime64(6, 'UTC') COMMENT 'when it was measured' CODEC(Delta, ZSTD(1)),
    type      Enum8('double' = 0, 'integer' = 1, 'boolean' = 2, 'text' = 3) COMMENT 'which of the columns holds it exactly',
    value     Float64 COMMENT 'as a number; 0 for a text' CODEC(ZSTD(1)),
    integer   Int64 COMMENT 'every bit of an integer; 0 or 1 for a boolean' CODEC(ZSTD(1)),
    text      String COMMENT 'a text; empty for other types' CODEC(ZSTD(1)),
    unit      LowCardinality(String) COMMENT 'as the sender names it',
    received  DateTime64(6, 'UTC') COMMENT 'when the gateway accepted it' CODEC(Delta, ZSTD(1)),
    topic     LowCardinality(String) COMMENT 'where in the log it is',
    topic_id  LowCardinality(String) COMMENT 'tells a topic that was deleted and created again apart',
    partition UInt32 CODEC(ZSTD(1)),
    `offset`  UInt64 CODEC(Delta, ZSTD(1)),
    `index`   UInt32 COMMENT 'which reading of the record, from 0' CODEC(ZSTD(1)),
    INDEX position (partition, `offset`) TYPE minmax GRANULARITY 1
)
ENGINE = {{.Engine "MergeTree" "readings"}}
PARTITION BY toYYYYMM(time)
ORDER BY (client, device, metric, time)
{{.Settings}};

-- A row a report: what is the same for all its readings, once.
CREATE TABLE IF NOT EXISTS {{.Table "reports"}}{{.OnCluster}}
(
    client        LowCardinality(String),
    device        LowCardinality(String),
    received_time DateTime64(6, 'UTC') COMMENT 'when the gateway accepted it' CODEC(Delta, ZSTD(1)),
    event_time    DateTime64(6, 'UTC') COMMENT 'when it happened, by the device''s clock' CODEC(Delta, ZSTD(1)),
    event_id      String CODEC(ZSTD(1)),
    event_type    LowCardinality(String),
    trace_id      String CODEC(ZSTD(1)),
    attempt       Int32 COMMENT 'how many times the sender had tried before' CODEC(ZSTD(1)),
    labels        Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    origin        LowCardinality(String) COMMENT 'the way in: http, influx, mqtt',
    host          LowCardinality(String),
    publisher     LowCardinality(String),
    readings      UInt32 COMMENT 'how many readings it had' CODEC(ZSTD(1)),
    topic         LowCardinality(String) COMMENT 'where in the log it is',
    topic_id      LowCardinality(String) COMMENT 'tells a topic that was deleted and created again apart',
    partition     UInt32 CODEC(ZSTD(1)),
    `offset`      UInt64 CODEC(Delta, ZSTD(1)),
    INDEX position (partition, `offset`) TYPE minmax GRANULARITY 1,
    INDEX trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX event event_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {{.Engine "MergeTree" "reports"}}
PARTITION BY toYYYYMM(received_time)
ORDER BY (client, device, received_time)
{{.Settings}};

-- A row a record that repeats an earlier one: its sender sent a report again. It has no rows elsewhere.
CREATE TABLE IF NOT EXISTS {{.Table "duplicates"}}{{.OnCluster}}
(
    client    LowCardinality(String),
    device    LowCardinality(String),
    event_id  String COMMENT 'the sender''s own' CODEC(ZSTD(1)),
    appended  DateTime64(6, 'UTC') COMMENT 'when it was appended, by the clock of who did' CODEC(Delta, ZSTD(1)),
    topic     LowCardinality(String) COMMENT 'where in the log it is',
    topic_id  LowCardinality(String) COMMENT 'tells a topic that was deleted and created again apart',
    partition UInt32 CODEC(ZSTD(1)),
    `offset`  UInt64 CODEC(Delta, ZSTD(1)),
    original  UInt64 COMMENT 'offset in the same partition of the record that it repeats' CODEC(Delta, ZSTD(1))
)
ENGINE = {{.Engine "MergeTree" "duplicates"}}
PARTITION BY toYYYYMM(appended)
ORDER BY (client, device, appended)
{{.Settings}};

{{range .Rollups}}
-- A row is what one block adds to a bucket. Rows of equal key are merged in the background: the public view finishes that when
-- it is asked. latest packs the last reading's rank (52 bits of microseconds, 12 of the partition, 44 of the offset, 20 of
-- the index) and the bits of its value into one number, whose maximum is the last. Rows without a client are marks: they tell up to
-- which offset (latest) a partition of the log (metric) is in the table.
CREATE TABLE IF NOT EXISTS {{$.Table .}}{{$.OnCluster}}
(
    client LowCardinality(String),
    device LowCardinality(String),
    metric LowCardinality(String),
    time   DateTime('UTC') COMMENT 'beginning of the bucket' CODEC(Delta, ZSTD(1)),
    count  SimpleAggregateFunction(sum, UInt64) CODEC(ZSTD(1)),
    min    SimpleAggregateFunction(min, Float64) CODEC(ZSTD(1)),
    max    SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)),
    sum    SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)),
    latest SimpleAggregateFunction(max, UInt256) CODEC(ZSTD(1))
)
ENGINE = {{$.Engine "AggregatingMergeTree" .}}
PARTITION BY toYYYYMM(time)
ORDER BY (client, device, metric, time)
{{$.Settings}};
{{end}}

-- What each block knows of a series in a month. latest is the last reading as a text whose greatest is the last: its rank in 16
-- big-endian bytes, its type in one, the bits of its value (or of its integer) in eight, and its text. Rows without a client are marks.
CREATE TABLE IF NOT EXISTS {{.Table "devices"}}{{.OnCluster}}
(
    client   LowCardinality(String),
    device   LowCardinality(String),
    metric   LowCardinality(String),
    month    UInt32 COMMENT 'yyyymm of time' CODEC(ZSTD(1)),
    time     SimpleAggregateFunction(max, DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)),
    received SimpleAggregateFunction(max, DateTime64(6, 'UTC')) CODEC(Delta, ZSTD(1)),
    latest   SimpleAggregateFunction(max, String) CODEC(ZSTD(1))
)
ENGINE = {{.Engine "AggregatingMergeTree" "devices"}}
PARTITION BY month
ORDER BY (client, device, metric)
{{.Settings}};
