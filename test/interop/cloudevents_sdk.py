"""Sends events with the CloudEvents project's own SDK, structured and binary, and reads them back with it. Prints what came back."""

import json
import sys
import urllib.request

from cloudevents.conversion import to_binary, to_structured
from cloudevents.http import CloudEvent, from_http

gateway, registry = sys.argv[1], sys.argv[2]
TYPE = "com.example.Interop"
SCHEMA = {"type": "record", "name": "Interop", "namespace": "com.example", "fields": [{"name": "text", "type": "string"}]}


def call(url, body=None, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, body, headers or {}), timeout=30) as answer:
        return answer.read().decode()


call(f"{registry}/subjects/{TYPE}/versions", json.dumps({"schema": json.dumps(SCHEMA)}).encode(), {"Content-Type": "application/vnd.schemaregistry.v1+json"})
attributes = {"type": TYPE, "source": "/interop", "subject": "Žluťoučký \"kůň\"", "time": "2026-11-24T04:00:00.123456+00:00", "colour": "red"}
for name, convert in (("structured", to_structured), ("binary", to_binary)):
    headers, body = convert(CloudEvent({**attributes, "id": name}, {"text": "€"}))
    call(f"{gateway}/v1/events", body, {k: v.encode("utf-8").decode("latin-1") for k, v in headers.items()})
for line in sorted(call(f"{gateway}/v1/topics/events/events").splitlines(), key=lambda l: json.loads(l)["offset"]):
    record = json.loads(line)
    headers = {k.replace("ce_", "ce-"): v for k, v in record["headers"].items() if k.startswith("ce_")}
    event = from_http({**headers, "content-type": "application/json"}, json.dumps(record["event"]).encode())
    same = all(event[k] == v or k == "time" for k, v in attributes.items())
    print(event["id"], event.data["text"], "same" if same else dict(event.get_attributes()))
