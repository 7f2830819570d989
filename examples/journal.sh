#!/bin/sh
# Keeps a journal of what reported, one event a report with its number of readings: reads telemetry as group "journal", with
# curl and jq alone.
#
#   FIELDLOG_URL=http://localhost:8080 FIELDLOG_REGISTRY=http://localhost:8081 examples/journal.sh
#
# Kill it at any time and start it again: it acknowledges after it has appended, and an event's id is made of the record's
# position, so that readers drop what they have seen. Run one for all partitions, or several with PARTITIONS='&partition=0'.
set -eu
gateway=${FIELDLOG_URL:-http://localhost:8080} registry=${FIELDLOG_REGISTRY:-http://localhost:8081}
topic=$gateway/v1/topics/telemetry type=com.example.ReportNoted

# call METHOD URL TYPE sends what stands on stdin and prints the answer. It returns 1 when it is not now, and ends the script
# when something was refused: somebody must look.
call() {
  answer=$(curl -sS -X "$1" -H "Content-Type: $3" -H "Authorization: Bearer ${FIELDLOG_TOKEN:-}" --data-binary @- -w '\n%{http_code}' "$2") || return 1
  status=${answer##*
}
  case $status in
    200 | 204) printf '%s' "${answer%"$status"}" ;;
    408 | 429 | 503) return 1 ;;
    *) printf 'refused: %s\n' "$answer" >&2; kill $$ ;;
  esac
}

jq -n '{schema: ({type: "record", name: "ReportNoted", namespace: "com.example", fields: [{name: "device", type: "string"},
  {name: "readings", type: "int"}]} | tojson)}' | call POST "$registry/subjects/$type/versions" application/vnd.schemaregistry.v1+json >/dev/null

while :; do
  records=$(call GET "$topic/events?group=journal&limit=100&wait=30s${PARTITIONS:-}" application/json </dev/null) || { sleep 1; continue; }
  events=$(printf '%s\n' "$records" | jq -c --arg type "$type" 'select(.event) | {specversion: "1.0", type: $type, source: "examples/journal.sh",
    id: "\(.topic)-\(.partition)-\(.offset)", partitionkey: .key, time: .event.event_time,
    data: {device: .event.device, readings: (.event.readings | length)}}')
  positions=$(printf '%s\n' "$records" | jq -cs '{positions: map(select(has("offset")) | {partition, offset})} | select(.positions != [])')
  if [ -n "$events" ]; then
    printf '%s\n' "$events" | call POST "$gateway/v1/events" application/x-ndjson >/dev/null || { sleep 1; continue; }
  fi
  if [ -n "$positions" ]; then
    printf '%s\n' "$positions" | call POST "$topic/groups/journal/ack" application/json >/dev/null || sleep 1
  fi
done
