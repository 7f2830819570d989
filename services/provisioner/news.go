package provisioner

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fieldlog/fieldlog/internal/eventlog"
)

// crowd reads what is new on the topics and tells the owners of the partitions.
type crowd struct {
	log   *eventlog.Log
	begin map[eventlog.Topic]map[eventlog.Partition]eventlog.Offset

	mu     sync.RWMutex
	owners map[eventlog.Partition]chan<- *eventlog.Record
}

// followed are the topics on which others tell something that concerns a provisioner while it runs.
func followed() []eventlog.Topic {
	return []eventlog.Topic{eventlog.TopicClients, eventlog.TopicProvisioning}
}

// newCrowd notes how far the topics are decided: what comes after that is told, what lies before it owners read themselves.
func newCrowd(ctx context.Context, log *eventlog.Log) (*crowd, error) {
	c := &crowd{
		log: log, begin: map[eventlog.Topic]map[eventlog.Partition]eventlog.Offset{},
		owners: map[eventlog.Partition]chan<- *eventlog.Record{},
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
func (c *crowd) tell(p eventlog.Partition, news chan<- *eventlog.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if news == nil {
		delete(c.owners, p)
		return
	}
	c.owners[p] = news
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
				c.pass(ctx, r)
			}
			return nil
		})
	}
	return group.Wait()
}

// pass hands a record to the owner of its partition, if this process has one. An owner that is busy is waited for: what is told is
// little, and what it does takes no longer than an append.
func (c *crowd) pass(ctx context.Context, r *eventlog.Record) {
	for {
		c.mu.RLock()
		owner := c.owners[r.Partition]
		c.mu.RUnlock()
		if owner == nil {
			return
		}
		select {
		case owner <- r:
			return
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond): // the owner may be gone
		}
	}
}
