"""Reads telemetry with confluent-kafka and its Avro deserializer, and prints what it saw."""

import collections
import sys
import time

from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

brokers, registry, topic, want = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
decode = AvroDeserializer(SchemaRegistryClient({"url": registry}))
consumer = Consumer({"bootstrap.servers": brokers, "group.id": "interop", "auto.offset.reset": "earliest"})
consumer.subscribe([topic])
devices, pulses, seen = collections.Counter(), set(), 0
deadline = time.time() + 30
while seen < want and time.time() < deadline:
    message = consumer.poll(1)
    if message is None or message.error():
        continue
    event = decode(message.value(), SerializationContext(message.topic(), MessageField.VALUE))
    assert dict(message.headers())["ce_id"].decode() == event["event_id"]
    devices[event["device"]] += 1
    pulses |= {r["value"] for r in event["readings"] if r["metric"] == "pulses"}
    seen += 1
consumer.close()
print(" ".join(f"{d}={n}" for d, n in sorted(devices.items())), " ".join(f"pulses={p}" for p in pulses))
