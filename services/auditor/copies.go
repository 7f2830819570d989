package auditor

import (
	"context"
	"fmt"
	"strings"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
)

// copied is a record that was redriven: it is to be stored unless one of its earlier copies is.
type copied struct {
	position
	want    sums
	expired int64
	earlier []schemas.Redrive
}

// settle decides which of a chunk's redriven records are to be stored.
func (r *run) settle(ctx context.Context, a *account, c *chunk) error {
	if len(c.redriven) == 0 {
		return nil
	}
	stored, err := a.stored.reported(ctx, c.redriven)
	if err != nil {
		return err
	}
	leftOut := map[eventlog.Partition][]eventlog.Range{}
	for _, d := range c.redriven {
		superfluous := false
		for _, earlier := range d.earlier {
			superfluous = superfluous || stored[earlierCopy(earlier)]
		}
		if superfluous {
			leftOut[d.partition] = append(leftOut[d.partition], eventlog.Range{First: d.offset, Next: d.offset + 1})
			continue
		}
		c.expect(d.position, d.want, d.expired)
	}
	for p, ranges := range leftOut {
		part := c.parts[p]
		part.row.Copies += int64(len(ranges))
		part.absent = part.absent.Or(offsets.Of(ranges))
	}
	return nil
}

// copyPlace is where an earlier copy of a record is, in this topic or one that was deleted.
type copyPlace struct {
	topicID string
	position
}

func earlierCopy(r schemas.Redrive) copyPlace {
	return copyPlace{r.TopicID, position{eventlog.Partition(r.Partition), eventlog.Offset(r.Offset)}}
}

// askedAtOnce bounds the positions in one query.
const askedAtOnce = 1000

// reported tells which earlier copies of redriven records are in the table of reports.
func (s *stored) reported(ctx context.Context, redriven []copied) (map[copyPlace]bool, error) {
	var tuples []string
	for _, d := range redriven {
		for _, e := range d.earlier {
			tuples = append(tuples, fmt.Sprintf("(%s, %d, %d)", clickhouse.Quote(e.TopicID), e.Partition, e.Offset))
		}
	}
	found, err := s.among(ctx, s.tables.Reports, tuples)
	if err != nil {
		return nil, fmt.Errorf("ask for copies of redriven records: %w", err)
	}
	return found, nil
}

// among returns those of some tuples of topic id, partition and offset that a table has.
func (s *stored) among(ctx context.Context, from string, tuples []string) (map[copyPlace]bool, error) {
	found := map[copyPlace]bool{}
	for len(tuples) > 0 {
		n := min(askedAtOnce, len(tuples))
		if err := s.amongFew(ctx, from, tuples[:n], found); err != nil {
			return nil, err
		}
		tuples = tuples[n:]
	}
	return found, nil
}

func (s *stored) amongFew(ctx context.Context, from string, tuples []string, found map[copyPlace]bool) error {
	rows, err := s.ch.Query(ctx, "SELECT DISTINCT topic_id, partition, `offset` FROM "+from+
		" WHERE (topic_id, partition, `offset`) IN ("+strings.Join(tuples, ", ")+")")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // what went wrong is told by Err
	for rows.Next() {
		var id string
		var partition uint32
		var offset uint64
		if err := rows.Scan(&id, &partition, &offset); err != nil {
			return err
		}
		found[copyPlace{id, position{eventlog.Partition(partition), eventlog.Offset(offset)}}] = true
	}
	return rows.Err()
}
