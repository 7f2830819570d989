package eventlog

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// inbox holds what was polled for a partition until its worker takes it.
type inbox struct {
	mu     sync.Mutex
	polls  [][]*kgo.Record
	paused bool
	ready  chan struct{} // has one token while polls is not empty
}

// inboxPolls is how many polls may wait before the partition is paused.
const inboxPolls = 2

// put adds the records of a poll and tells whether to pause the partition.
func (b *inbox) put(records []*kgo.Record) (pause bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.polls = append(b.polls, records)
	select {
	case b.ready <- struct{}{}:
	default:
	}
	pause = len(b.polls) >= inboxPolls && !b.paused
	b.paused = b.paused || pause
	return pause
}

// take returns the oldest poll and whether to resume the partition.
func (b *inbox) take() (records []*kgo.Record, resume bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.polls) == 0 {
		return nil, false
	}
	records = b.polls[0]
	b.polls[0] = nil
	b.polls = b.polls[1:]
	if len(b.polls) > 0 {
		select {
		case b.ready <- struct{}{}:
		default:
		}
	}
	resume = b.paused && len(b.polls) < inboxPolls
	b.paused = b.paused && !resume
	return records, resume
}
