package analytics

import (
	"fmt"

	"github.com/fieldlog/fieldlog/projections/readings"
)

// witness is the condition of the first row of a group, which no other group has: who finds the row finds the group. It begins with
// the columns that the table is sorted by.
type witness struct {
	where string
	args  []any // each in the place of a ?
}

// at ends a condition with a place in the log.
func (s *store) at(offset int64) string {
	return fmt.Sprintf("topic_id = '%s' AND partition = %d AND `offset` = %d", s.of.TopicID, s.of.Partition, offset)
}

func micro(t int64) string { return fmt.Sprintf("fromUnixTimestamp64Micro(%d, 'UTC')", t) }

func first(c *readings.Coded) string { return c.Values[c.Index[0]] }

func (s *store) readingsWitness(c *readings.Readings) witness {
	return witness{
		fmt.Sprintf("client = ? AND device = ? AND metric = ? AND time = %s AND `index` = %d AND %s", micro(c.Time[0]), c.Index[0], s.at(c.Offset[0])),
		[]any{first(&c.Client), first(&c.Device), first(&c.Metric)},
	}
}

func (s *store) reportsWitness(c *readings.Reports) witness {
	return witness{
		fmt.Sprintf("client = ? AND device = ? AND received_time = %s AND %s", micro(c.ReceivedTime[0]), s.at(c.Offset[0])),
		[]any{first(&c.Client), first(&c.Device)},
	}
}

func (s *store) duplicatesWitness(c *readings.Duplicates) witness {
	return witness{
		fmt.Sprintf("client = ? AND device = ? AND appended = %s AND %s", micro(c.Appended[0]), s.at(c.Offset[0])),
		[]any{first(&c.Client), first(&c.Device)},
	}
}

// The derived tables have no offsets. Their first row is the partition's mark, see readings.Source.
const marks = "client = '' AND device = '' AND metric = ?"

func (s *store) rollupWitness(begin uint32) witness {
	return witness{
		fmt.Sprintf(marks+" AND time = toDateTime(%d, 'UTC') AND latest >= %d", begin, s.of.Last),
		[]any{s.source()},
	}
}

func (s *store) devicesWitness(month readings.Month) witness {
	return witness{
		fmt.Sprintf(marks+" AND month = %d AND latest >= unhex('%016x')", month, s.of.Last),
		[]any{s.source()},
	}
}
