package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// shareSession is how long a member that is not heard of keeps its partitions. It may be short: one that is taken for dead too early
// is fenced, not doubled.
const shareSession = 10 * time.Second

// ErrLost is the cause for which a partition's context ends when the group has given the partition to another member already.
var ErrLost = errors.New("the group has given the partition away")

// Share divides the partitions of a topic among the members of a group, and runs do for each one that this member is given, until
// the partition is taken away or ctx ends: then do's context ends, and the partition is given on when do has returned. Where it was
// given on already, the cause is [ErrLost]. Share returns nil after ctx has ended, or the first error of a do, or of the group where
// joining it again does not help.
//
// Nothing is read and no offset committed. A member that was stopped and wakes up may run do for a partition that somebody else
// has by then: what must not happen twice needs a [Transactor], which fences.
func (l *Log) Share(ctx context.Context, group Group, topic Topic, do func(ctx context.Context, p Partition) error) error {
	s := &shares{ctx: ctx, log: l, group: group, do: do, running: map[int32]*share{}, failed: make(chan error, 1)}
	name := l.fullName(topic)
	client, err := l.newMember(
		kgo.ConsumerGroup(l.cfg.Prefix+string(group)),
		kgo.ConsumeTopics(name),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(shareSession),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.begin(parts[name]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.end(parts[name], nil) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.end(parts[name], ErrLost) }),
	)
	if err != nil {
		return fmt.Errorf("share %q: %w", topic, err)
	}
	client.PauseFetchTopics(name)
	defer client.leave(0) // revokes every partition
	listening, stop := context.WithCancel(ctx)
	var listener sync.WaitGroup
	listener.Go(func() { s.listen(listening, client.Client) })
	defer listener.Wait()
	defer stop()
	select {
	case err := <-s.failed:
		return fmt.Errorf("share %q: %w", topic, err)
	case <-ctx.Done():
		return nil
	}
}

// shares are the partitions that this member has.
type shares struct {
	ctx    context.Context
	log    *Log
	group  Group
	do     func(ctx context.Context, p Partition) error
	failed chan error

	mu      sync.Mutex
	running map[int32]*share
}

// share is one partition.
type share struct {
	cancel context.CancelCauseFunc
	ended  chan struct{}
}

func (s *shares) begin(parts []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		ctx, cancel := context.WithCancelCause(s.ctx)
		one := &share{cancel: cancel, ended: make(chan struct{})}
		s.running[p] = one
		go func() {
			defer close(one.ended)
			err := s.do(ctx, Partition(p))
			if err == nil || ctx.Err() != nil && errors.Is(err, context.Canceled) {
				return
			}
			s.fail(fmt.Errorf("partition %d: %w", p, err))
		}()
	}
}

func (s *shares) fail(err error) {
	select {
	case s.failed <- err:
	default: // the first one is told
	}
}

// listen takes what the client has to say of the group, which it keeps until it is asked, until ctx ends. There are no records: the
// topic is paused.
func (s *shares) listen(ctx context.Context, client *kgo.Client) {
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return
		}
		for _, failed := range fetches.Errors() {
			if hopeless(failed.Err) {
				s.fail(failed.Err)
				return
			}
			s.log.logger.Warn("lost the group for now", "group", s.group, "error", failed.Err)
		}
	}
}

// hopeless tells whether a member that the brokers refused will be refused again. It is not when it was only missed for too long.
func hopeless(err error) bool {
	var refused *kerr.Error
	return errors.As(err, &refused) && !refused.Retriable && !errors.Is(err, kerr.UnknownMemberID) && !errors.Is(err, kerr.IllegalGeneration)
}

// end returns when nothing runs for the partitions any more.
func (s *shares) end(parts []int32, cause error) {
	s.mu.Lock()
	var ending []*share
	for _, p := range parts {
		if one := s.running[p]; one != nil {
			one.cancel(cause)
			ending = append(ending, one)
			delete(s.running, p)
		}
	}
	s.mu.Unlock()
	for _, one := range ending {
		<-one.ended
	}
}
