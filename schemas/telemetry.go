package schemas

// TelemetryReported says that a device reported: the readings of one device in one request.
//
// A decoded report's strings may point into the record it was decoded from; they live as long as that record.
type TelemetryReported struct {
	Envelope
	// Client owns the device.
	Client string `avro:"client"`
	// Device is unique within its client.
	Device string `avro:"device"`
	// Labels describe the report as a whole, in the sender's order, without duplicates.
	Labels []Label `avro:"labels"`
	// Readings holds at least one reading, in the sender's order.
	Readings []Reading `avro:"readings"`
}

// Label is one entry of a report's labels.
type Label struct{ Name, Value string }

// Reading is one measured value.
type Reading struct {
	// Metric names what was measured.
	Metric string `avro:"metric"`
	// Time is when it was measured.
	Time Time `avro:"time"`
	// Value is what was measured.
	Value Value `avro:"value"`
	// Unit is as the sender names it; empty when not given.
	Unit string `avro:"unit"`
}

// Kind implements Event.
func (*TelemetryReported) Kind() Kind { return KindTelemetryReported }

// AppendKey implements Event: client/device, so that a device's reports keep their order.
func (t *TelemetryReported) AppendKey(dst []byte) []byte {
	dst = append(dst, t.Client...)
	dst = append(dst, '/')
	return append(dst, t.Device...)
}
