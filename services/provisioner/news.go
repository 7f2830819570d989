package provisioner

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// crowd reads what is new on the topics and tells the owners of the partitions. It waits for none of them.
type crowd struct {
	log   *eventlog.Log
	begin map[eventlog.Topic]map[eventlog.Partition]eventlog.Offset

	mu     sync.RWMutex
	owners map[eventlog.Partition]*newsQueue
}

// followed are the topics on which others tell something that concerns a provisioner while it runs, in the order in which they are
// folded.
func followed() []eventlog.Topic {
	return []eventlog.Topic{eventlog.TopicClients, eventlog.TopicProvisioning}
}

// newCrowd notes how far the topics are decided: what comes after that is told, what lies before it owners read themselves.
func newCrowd(ctx context.Context, log *eventlog.Log) (*crowd, error) {
	c := &crowd{
		log: log, begin: map[eventlog.Topic]map[eventlog.Partition]eventlog.Offset{},
		owners: map[eventlog.Partition]*newsQueue{},
	}
	for _, topic := range followed() {
		ends, err := log.Decided(ctx, topic)
		if err != nil {
			return nil, err
		}
		c.begin[topic] = map[eventlog.Partition]eventlog.Offset{}
		for p, r := range ends {
			c.begin[topic][p] = r.Next
		}
	}
	return c, nil
}

// tell gives a partition's news to its owner from now on; nil stops it.
func (c *crowd) tell(p eventlog.Partition, owner *newsQueue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner == nil {
		delete(c.owners, p)
		return
	}
	c.owners[p] = owner
}

// follow reads until ctx ends or reading fails.
func (c *crowd) follow(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for topic, begin := range c.begin {
		group.Go(func() error {
			for r, err := range c.log.Read(ctx, eventlog.ReadOptions{Topic: topic, Starts: begin, Follow: true}) {
				if err != nil {
					return err
				}
				c.pass(r)
			}
			return nil
		})
	}
	return group.Wait()
}

// pass hands a record to the owner of its partition, if this process has one.
func (c *crowd) pass(r *eventlog.Record) {
	c.mu.RLock()
	owner := c.owners[r.Partition]
	c.mu.RUnlock()
	if owner != nil {
		owner.put(r)
	}
}

// maxNews bounds the records that wait for an owner.
const maxNews = 64

// newsQueue holds the news of a partition until its owner takes them. When there are more than maxNews it holds none: the owner is told
// that it missed some, and reads them in the log. So a partition whose owner waits, for its brokers or its turn, holds up no other.
type newsQueue struct {
	ready chan struct{} // receives when there is something to take

	mu     sync.Mutex
	news   []*eventlog.Record
	missed bool
}

func newNewsQueue() *newsQueue { return &newsQueue{ready: make(chan struct{}, 1)} }

// put adds a record, or notes that it is missed: it comes after what was missed before, and must not be heard first.
func (q *newsQueue) put(r *eventlog.Record) {
	q.mu.Lock()
	if q.missed = q.missed || len(q.news) == maxNews; q.missed {
		q.news = nil
	} else {
		q.news = append(q.news, r)
	}
	q.mu.Unlock()
	select {
	case q.ready <- struct{}{}:
	default: // that is known already
	}
}

// take returns what came since the last time, oldest first; or that something was missed, which is in the log by now.
func (q *newsQueue) take() (news []*eventlog.Record, missed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	news, missed = q.news, q.missed
	q.news, q.missed = nil, false
	return news, missed
}
