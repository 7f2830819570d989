package readings

import "github.com/fieldlog/fieldlog/schemas"

// Reports are the columns of table reports for one month. All have the same number of rows.
type Reports struct {
	// Month is that of every row's ReceivedTime.
	Month Month
	// EventID and TraceID are as in the envelope.
	EventID, TraceID Texts
	// EventType, Client, Device, Origin, Host and Publisher are as reported.
	EventType, Client, Device, Origin, Host, Publisher Coded
	// EventTime and ReceivedTime are microseconds since the Unix epoch.
	EventTime, ReceivedTime []int64
	// Attempt counts the sender's tries before this one.
	Attempt []int32
	// LabelNames and LabelValues are the labels of all rows, one row's after the other; LabelEnds tells where each row's end.
	LabelNames, LabelValues Texts
	LabelEnds               []uint64
	// Offset tells which record of the partition.
	Offset []int64
	// Readings counts the readings of the report.
	Readings []uint32

	span span
}

// Rows returns the number of rows.
func (c *Reports) Rows() int { return len(c.Offset) }

func (c *Reports) add(offset int64, r *schemas.TelemetryReported) {
	c.EventID.add(r.EventID)
	c.TraceID.add(r.TraceID)
	texts := [...]string{r.EventType, r.Client, r.Device, r.Origin, r.Host, r.Publisher}
	for i, coded := range c.coded() {
		coded.Index = append(coded.Index, coded.id(texts[i]))
	}
	c.EventTime = append(c.EventTime, int64(r.EventTime))
	c.ReceivedTime = append(c.ReceivedTime, int64(r.ReceivedTime))
	c.Attempt = append(c.Attempt, r.Attempt)
	for i := range r.Labels {
		c.LabelNames.add(r.Labels[i].Name)
		c.LabelValues.add(r.Labels[i].Value)
	}
	c.LabelEnds = append(c.LabelEnds, uint64(c.LabelNames.Rows))
	c.Offset = append(c.Offset, offset)
	c.Readings = append(c.Readings, uint32(len(r.Readings)))
}

func (c *Reports) coded() [6]*Coded {
	return [6]*Coded{&c.EventType, &c.Client, &c.Device, &c.Origin, &c.Host, &c.Publisher}
}

func (c *Reports) texts() [4]*Texts {
	return [4]*Texts{&c.EventID, &c.TraceID, &c.LabelNames, &c.LabelValues}
}

// reset empties the columns for another month. Their memory is used again.
func (c *Reports) reset(s span) {
	for _, coded := range c.coded() {
		coded.reset()
	}
	for _, texts := range c.texts() {
		texts.reset()
	}
	c.EventTime, c.ReceivedTime, c.Attempt = c.EventTime[:0], c.ReceivedTime[:0], c.Attempt[:0]
	c.LabelEnds, c.Offset, c.Readings = c.LabelEnds[:0], c.Offset[:0], c.Readings[:0]
	c.Month, c.span = s.month, s
}

// reportBytes is the memory of a row beside its texts.
const reportBytes = 6*4 + 4*8 + 2*4

func (c *Reports) bytes() int {
	n := len(c.Offset) * reportBytes
	for _, coded := range c.coded() {
		n += coded.texts.size
	}
	for _, texts := range c.texts() {
		n += len(texts.Packed)
	}
	return n
}
