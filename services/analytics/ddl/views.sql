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
CREATE OR REPLACE VIEW {{$.Public .Name}}{{$.OnCluster}} AS
SELECT
    client, device, metric, time,
    sum(t.count) AS count,
    min(t.min) AS min,
    max(t.max) AS max,
    sum(t.sum) AS sum,
    sum(t.sum) / sum(t.count) AS avg,
    reinterpretAsFloat64(toUInt64(max(t.latest))) AS last,
    fromUnixTimestamp64Micro(toInt64(bitShiftRight(max(t.latest), 140)), 'UTC') AS last_time
FROM {{$.Table .Name}} AS t
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
    GROUP BY client, device, metric
) AS d
GROUP BY client, device;
