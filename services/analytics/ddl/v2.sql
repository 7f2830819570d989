-- Version 2: what happened to orders.

-- A row a fact: what the registrar decided, how provisioning goes, what operators did.
CREATE TABLE IF NOT EXISTS {{.Table "order_facts"}}{{.OnCluster}}
(
    client      LowCardinality(String),
    order_id    String COMMENT 'empty when the fact is about the client' CODEC(ZSTD(1)),
    kind        LowCardinality(String) COMMENT 'order.accepted, provisioning.progressed, ...',
    version     Int32 COMMENT 'of the order; 0 for none' CODEC(ZSTD(1)),
    state       LowCardinality(String) COMMENT 'of the provisioning, an intervention, or what was rejected',
    time        DateTime64(6, 'UTC') COMMENT 'when the input was received, or when provisioning told it' CODEC(Delta, ZSTD(1)),
    namespace   String CODEC(ZSTD(1)),
    environment LowCardinality(String),
    archtype    LowCardinality(String),
    hardware    LowCardinality(String),
    product     LowCardinality(String),
    reason      String CODEC(ZSTD(1)),
    detail      String CODEC(ZSTD(1)),
    backend     LowCardinality(String),
    step        Int32 CODEC(ZSTD(1)),
    steps       Int32 CODEC(ZSTD(1)),
    attempt     Int32 COMMENT 'tries before this one' CODEC(ZSTD(1)),
    author      String COMMENT 'who asked for it' CODEC(ZSTD(1)),
    event_id    String CODEC(ZSTD(1)),
    trace_id    String CODEC(ZSTD(1)),
    topic       LowCardinality(String) COMMENT 'where in the log it is',
    partition   UInt32 CODEC(ZSTD(1)),
    `offset`    UInt64 CODEC(Delta, ZSTD(1)),
    INDEX trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {{.Engine "MergeTree" "order_facts"}}
PARTITION BY toYYYYMM(time)
ORDER BY (client, order_id, topic, `offset`)
{{.Settings}};
