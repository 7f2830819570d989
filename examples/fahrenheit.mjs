// Appends every temperature again in degrees Fahrenheit, as telemetry of the same device: reads telemetry as group "fahrenheit",
// with what Node 20 has built in alone.
//
//   FIELDLOG_URL=http://localhost:8080 node examples/fahrenheit.mjs
//
// Kill it at any time and start it again: what it appends has an id made of the record's position, so that a report which it
// appends a second time is stored once, in ClickHouse too. Run one for all partitions, or several with PARTITIONS=0,1,2.

const gateway = process.env.FIELDLOG_URL ?? 'http://localhost:8080'
const partitions = (process.env.PARTITIONS ?? '').split(',').filter(Boolean).map((p) => `&partition=${p}`).join('')
const topic = `${gateway}/v1/topics/telemetry`

class Refused extends Error {}

async function call(url, body, kind = 'application/json') {
  const headers = { 'Content-Type': kind, Authorization: `Bearer ${process.env.FIELDLOG_TOKEN ?? ''}` }
  const answer = await fetch(url, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) })
  const text = await answer.text()
  if (answer.ok && answer.status !== 207) return text
  if ([408, 429, 503].includes(answer.status)) throw new Error(text) // not now
  throw new Refused(text) // somebody must look
}

// converted returns the event that a record calls for; its own reports have no temperature, so that it does not chase itself.
function converted({ event, topic, partition, offset }) {
  const readings = (event?.readings ?? [])
    .filter((r) => r.metric === 'temperature' && typeof r.value === 'number')
    .map((r) => ({ metric: 'temperature_f', time: r.time, value: (r.value * 9) / 5 + 32, unit: '°F' }))
  return readings.length && {
    specversion: '1.0', type: 'dev.fieldlog.TelemetryReported', source: 'examples/fahrenheit.mjs',
    id: `fahrenheit-${topic}-${partition}-${offset}`, time: event.event_time,
    data: { client: event.client, device: event.device, readings },
  }
}

async function work() {
  const text = await call(`${topic}/events?group=fahrenheit&limit=100&wait=30s${partitions}`)
  const records = text.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter((r) => 'offset' in r)
  const events = records.map(converted).filter(Boolean)
  if (events.length) await call(`${gateway}/v1/events`, events, 'application/cloudevents-batch+json')
  const positions = records.map(({ partition, offset }) => ({ partition, offset }))
  if (positions.length) await call(`${topic}/groups/fahrenheit/ack`, { positions })
}

for (;;) {
  try {
    await work()
  } catch (problem) {
    if (problem instanceof Refused) throw problem
    console.error(String(problem))
    await new Promise((again) => setTimeout(again, 1000)) // nothing was acknowledged: the same comes again
  }
}
