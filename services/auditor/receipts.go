package auditor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/offsets"
	"github.com/fieldlog/fieldlog/schemas"
)

// early is how much earlier than the records they are about receipts may seem to be, by clocks that disagree.
const early = time.Minute

// claims are what gateways wrote down as confirmed.
type claims struct {
	of        map[claimed]offsets.Set
	sequences map[string]offsets.Set // of each instance
	nameless  int64                  // records of topics that were created anew within the interval
}

type claimed struct {
	topic     eventlog.Topic
	id        string
	partition eventlog.Partition
}

// readClaims reads the receipts written down since a time, to the end. Memory is what their ranges do not join to: what a few
// gateways append in turn becomes one range.
func (a *Auditor) readClaims(ctx context.Context, since time.Time) (*claims, error) {
	c := &claims{of: map[claimed]offsets.Set{}, sequences: map[string]offsets.Set{}}
	ranges, err := a.rangesSince(ctx, eventlog.TopicReceipts, since, early)
	if err != nil {
		return nil, err
	}
	decoder := eventlog.NewDecoder[schemas.ReceiptsCounted](a.log, schemas.KindReceiptsCounted)
	var event schemas.ReceiptsCounted
	pending := map[claimed][]eventlog.Range{}
	err = a.log.Scan(ctx, eventlog.TopicReceipts, ranges, func(r *eventlog.Record) error {
		if err := decoder.Decode(ctx, r, &event); err != nil {
			return passOver(err)
		}
		c.add(&event, pending)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for key, list := range pending {
		c.join(key, list)
	}
	return c, nil
}

// passOver lets bad records of a topic be: they are somebody else's.
func passOver(err error) error {
	if refusal := (*eventlog.Refusal)(nil); errors.As(err, &refusal) {
		return nil
	}
	return err
}

// joinAt is how many ranges of a partition wait to be joined.
const joinAt = 1 << 16

// add collects one event's ranges. They are joined now and then, because joining costs as much as there is.
func (c *claims) add(event *schemas.ReceiptsCounted, pending map[claimed][]eventlog.Range) {
	number, instance := eventlog.Offset(event.Sequence), strings.Clone(event.Instance) // it points into the record
	c.sequences[instance] = c.sequences[instance].Or(offsets.Set{{First: number, Next: number + 1}})
	for i := range event.Partitions {
		p := &event.Partitions[i]
		if p.TopicID == "" {
			c.nameless += p.Records
			continue
		}
		key := claimed{eventlog.Topic(strings.Clone(p.Topic)), strings.Clone(p.TopicID), eventlog.Partition(p.Partition)}
		for _, r := range p.Ranges {
			pending[key] = append(pending[key], eventlog.Range{First: eventlog.Offset(r.First), Next: eventlog.Offset(r.Last) + 1})
		}
		if len(pending[key]) >= joinAt {
			c.join(key, pending[key])
			pending[key] = pending[key][:0]
		}
	}
}

func (c *claims) join(key claimed, ranges []eventlog.Range) {
	c.of[key] = c.of[key].Or(offsets.Of(ranges))
}

// gaps names the receipts that are not there although later ones of the same instance are.
func (c *claims) gaps(result *Result) {
	for _, instance := range sortedKeys(c.sequences) {
		set := c.sequences[instance]
		whole := offsets.Set{{First: set[0].First, Next: set[len(set)-1].Next}}
		result.name(Difference{Kind: ReceiptsLost, Topic: eventlog.TopicReceipts, Instance: instance}, whole.Without(set))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
