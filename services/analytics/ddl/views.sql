-- The public names. They are views, so that another generation of tables can take their place.

CREATE OR REPLACE VIEW {{.Public "readings"}}{{.OnCluster}} AS
SELECT client, device, metric, time, type, value, integer, text, unit, received, topic, topic_id, partition,
    `offset`, `index`
FROM {{.Table "readings"}};

CREATE OR REPLACE VIEW {{.Public "reports"}}{{.OnCluster}} AS
SELECT client, device, received_time, event_time, event_id, event_type, trace_id, attempt, labels, origin, host, publisher,
    readings, topic, topic_id, partition, `offset`
FROM {{.Table "reports"}};

CREATE OR REPLACE VIEW {{.Public "duplicates"}}{{.OnCluster}} AS
SELECT client, device, event_id, appended, topic, topic_id, partition, `offset`, original
FROM {{.Table "duplicates"}};

{{range .Rollups}}
CREATE OR REPLACE VIEW {{$.Public .}}{{$.OnCluster}} AS
SELECT
    client, device, metric, time,
    sum(t.count) AS count,
    min(t.min) AS min,
    max(t.max) AS max,
    sum(t.sum) AS sum,
    sum(t.sum) / sum(t.count) AS avg,
    reinterpretAsFloat64(toUInt64(max(t.latest))) AS last,
    fromUnixTimestamp64Micro(toInt64(bitShiftRight(max(t.latest), 140)), 'UTC') AS last_time
FROM {{$.Table .}} AS t
WHERE t.client != '' -- a mark, see package readings
GROUP BY client, device, metric, time;
{{end}}

CREATE OR REPLACE VIEW {{.Public "devices"}}{{.OnCluster}} AS
SELECT
    client, device,
    max(d.received) AS last_seen,
    max(d.time) AS last_time,
    CAST(arraySort(groupArray((toString(metric), last))), 'Map(String, String)') AS `values`
FROM
(
    SELECT
        client, device, metric,
        max(t.received) AS received,
        max(t.time) AS time,
        max(t.latest) AS latest,
        reinterpretAsUInt8(substring(latest, 17, 1)) AS type,
        substring(latest, 18, 8) AS bits,
        multiIf(
            type = 3, substring(latest, 26),
            type = 2, if(reinterpretAsInt64(bits) = 1, 'true', 'false'),
            type = 1, toString(reinterpretAsInt64(bits)),
            toString(reinterpretAsFloat64(bits))) AS last
    FROM {{.Table "devices"}} AS t
    WHERE t.client != '' -- a mark
    GROUP BY client, device, metric
) AS d
GROUP BY client, device;

CREATE OR REPLACE VIEW {{.Public "order_facts"}}{{.OnCluster}} AS
SELECT client, order_id, kind, version, state, time, namespace, environment, archtype, hardware, product, reason, detail, backend,
    step, steps, attempt, author, event_id, trace_id, topic, partition, `offset`
FROM {{.Table "order_facts"}};

-- A row an order, folded as package clients does: its last terms and version, and how far its provisioning is. provision_seconds is
-- from the acceptance to the first success, NULL until then. What comes later in the log counts: an id that is used again, when the
-- registrar has forgotten it, is the later order's.
CREATE OR REPLACE VIEW {{.Public "orders"}}{{.OnCluster}} AS
SELECT
    client, order_id, product, namespace, environment, archtype, hardware, version,
    multiIf(
        cancelled AND last.1 = 'deprovisioned', 'deprovisioned',
        cancelled, 'cancelled',
        last.2 != 0 AND last.2 != version, 'accepted',
        last.1 IN ('requested', 'started', 'step'), 'provisioning',
        last.1 = 'succeeded', 'ready',
        last.1 = 'failed', 'failing',
        last.1 = 'abandoned', 'abandoned',
        'accepted') AS status,
    placed, updated,
    arrayReduce('minOrNull', arrayFilter(t -> lives = 1 OR t >= placed, succeeded)) AS ready,
    toUInt64(arrayCount(t -> lives = 1 OR t >= placed, failed)) AS failures,
    dateDiff('microsecond', placed, ready) / 1e6 AS provision_seconds,
    trace_id
FROM
(
    SELECT
        client, order_id,
        argMaxIf(f.product, f.`offset`, f.kind IN ('order.accepted', 'order.changed')) AS product,
        argMaxIf(f.namespace, f.`offset`, f.kind IN ('order.accepted', 'order.changed')) AS namespace,
        argMaxIf(f.environment, f.`offset`, f.kind IN ('order.accepted', 'order.changed')) AS environment,
        argMaxIf(f.archtype, f.`offset`, f.kind IN ('order.accepted', 'order.changed')) AS archtype,
        argMaxIf(f.hardware, f.`offset`, f.kind IN ('order.accepted', 'order.changed')) AS hardware,
        argMaxIf(f.trace_id, f.`offset`, f.kind IN ('order.accepted', 'order.changed', 'order.cancelled')) AS trace_id,
        argMaxIf(f.version, f.`offset`, f.kind IN ('order.accepted', 'order.changed', 'order.cancelled')) AS version,
        countIf(f.kind = 'order.accepted') AS lives,
        argMaxIf(f.time, f.`offset`, f.kind = 'order.accepted') AS placed,
        maxIf(f.time, f.kind IN ('order.accepted', 'order.changed', 'order.cancelled')) AS updated,
        groupArrayIf(f.time, f.state = 'succeeded') AS succeeded,
        groupArrayIf(f.time, f.state = 'failed') AS failed,
        argMaxIf(toString(f.kind), f.`offset`, f.kind IN ('order.accepted', 'order.changed', 'order.cancelled')) = 'order.cancelled' AS cancelled,
        argMaxIf((toString(f.state), f.version), f.`offset`, f.topic = 'provisioning' AND f.state != 'abandon') AS last
    FROM {{.Table "order_facts"}} AS f
    GROUP BY client, order_id
    HAVING lives > 0
);

CREATE OR REPLACE VIEW {{.Public "clients"}}{{.OnCluster}} AS
SELECT
    client,
    min(placed) AS registered,
    count() AS orders,
    countIf(status NOT IN ('cancelled', 'deprovisioned')) AS live,
    countIf(status = 'ready') AS ready,
    countIf(status IN ('failing', 'abandoned')) AS failing,
    arraySort(groupUniqArrayIf(toString(product), status NOT IN ('cancelled', 'deprovisioned'))) AS products,
    max(updated) AS updated
FROM {{.Public "orders"}}
GROUP BY client;
