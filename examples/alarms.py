#!/usr/bin/env python3
"""Appends an alarm for every temperature above 80: reads telemetry as group "alarms", with Python's standard library alone.

    FIELDLOG_URL=http://localhost:8080 FIELDLOG_REGISTRY=http://localhost:8081 python3 examples/alarms.py

Kill it at any time and start it again. Step by step: it reads behind what it acknowledged, appends alarms whose ids come from the
record's position, and only then acknowledges. Killed in between it does the same again, and readers drop an id they have seen.
Run one for all partitions, or several with PARTITIONS=0,1,2 and so on, never two for the same."""
import http.client, json, os, sys, time, urllib.request

GATEWAY = os.environ.get("FIELDLOG_URL", "http://localhost:8080")
REGISTRY = os.environ.get("FIELDLOG_REGISTRY", "http://localhost:8081")
PARTITIONS = "".join("&partition=" + p for p in os.environ.get("PARTITIONS", "").split(",") if p)
TYPE = "com.example.TemperatureExceeded"
SCHEMA = {"type": "record", "name": "TemperatureExceeded", "namespace": "com.example", "fields": [
    {"name": "client", "type": "string"}, {"name": "device", "type": "string"}, {"name": "celsius", "type": "double"}]}


def call(url, body=None, kind="application/json"):
    headers = {"Content-Type": kind, "Authorization": "Bearer " + os.environ.get("FIELDLOG_TOKEN", "")}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read().decode()
    if answer.status == 207:  # some were refused: do not acknowledge, somebody must look
        sys.exit("refused: " + text)
    return text


def alarm(record):
    """Returns the alarm that a record calls for, or nothing."""
    event = record.get("event", {"readings": []})  # missing where the bytes are no event
    hot = [r["value"] for r in event["readings"] if r["metric"] == "temperature" and r["value"] > 80]
    return hot and {
        "specversion": "1.0", "type": TYPE, "source": "examples/alarms.py", "partitionkey": record["key"],
        "id": f"{record['topic']}-{record['partition']}-{record['offset']}", "time": event["event_time"],
        "data": {"client": event["client"], "device": event["device"], "celsius": float(max(hot))}}


def work():
    text = call(f"{GATEWAY}/v1/topics/telemetry/events?group=alarms&limit=100&wait=30s{PARTITIONS}")
    records = [r for r in map(json.loads, text.splitlines()) if "offset" in r]
    if alarms := [a for a in map(alarm, records) if a]:
        call(GATEWAY + "/v1/events", alarms, "application/cloudevents-batch+json")
    if done := [{"partition": r["partition"], "offset": r["offset"]} for r in records]:
        call(GATEWAY + "/v1/topics/telemetry/groups/alarms/ack", {"positions": done})


call(f"{REGISTRY}/subjects/{TYPE}/versions", {"schema": json.dumps(SCHEMA)}, "application/vnd.schemaregistry.v1+json")
while True:
    try:
        work()
    except (OSError, http.client.HTTPException) as problem:  # not there, or not now: nothing was acknowledged
        if getattr(problem, "code", 503) not in (408, 429, 503):
            sys.exit(f"refused: {problem} {problem.read().decode()}")
        print(problem, file=sys.stderr)
        time.sleep(1)
