package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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
// Nothing is read, and no offset decides anything. A member that was stopped and wakes up may run do for a partition that somebody else
// has by then: what must not happen twice needs a [Transactor], which fences.
func (l *Log) Share(ctx context.Context, group Group, topic Topic, do func(ctx context.Context, p Partition) error) error {
	return l.share(ctx, group, topic, func(ctx context.Context, p Partition, _ func(Topic, Offset)) error { return do(ctx, p) })
}

// share is Share for a do that notes how far it is in the topics it reads. That is committed as offsets of the group, for whoever looks
// how it does (see [Log.Progress]): nobody reads from there.
func (l *Log) share(ctx context.Context, group Group, topic Topic, do func(ctx context.Context, p Partition, note func(Topic, Offset)) error) error {
	s := &shares{ctx: ctx, log: l, group: group, do: do, running: map[int32]*share{}, failed: make(chan error, 1), notes: notes{}}
	name := l.fullName(topic)
	client, err := l.newMember(
		kgo.ConsumerGroup(l.cfg.Prefix+string(group)),
		kgo.ConsumeTopics(name),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(shareSession),
		kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.begin(parts[name]) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, client *kgo.Client, parts map[string][]int32) {
			s.end(parts[name], nil)
			s.publish(client)
			s.forget(parts[name])
		}),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) {
			s.end(parts[name], ErrLost)
			s.forget(parts[name])
		}),
	)
	if err != nil {
		return fmt.Errorf("share %q: %w", topic, err)
	}
	client.PauseFetchTopics(name)
	defer client.leave(0) // revokes every partition
	listening, stop := context.WithCancel(ctx)
	var listener sync.WaitGroup
	listener.Go(func() { s.listen(listening, client.Client) })
	listener.Go(func() { s.publishing(listening, client.Client) })
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
	do     func(ctx context.Context, p Partition, note func(Topic, Offset)) error
	failed chan error

	mu      sync.Mutex
	running map[int32]*share
	notes   notes // not published yet
}

// notes are offsets by the full name of their topic and the partition.
type notes map[string]map[int32]kgo.EpochOffset

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
			err := s.do(ctx, Partition(p), func(topic Topic, next Offset) { s.note(p, topic, next) })
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

// publishEvery is how often it is published how far the partitions are.
const publishEvery = time.Second

func (s *shares) publishing(ctx context.Context, client *kgo.Client) {
	tick := time.NewTicker(publishEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.publish(client)
		}
	}
}

func (s *shares) note(p int32, topic Topic, next Offset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes.set(s.log.fullName(topic), p, kgo.EpochOffset{Epoch: -1, Offset: int64(next)})
}

func (n notes) set(topic string, p int32, at kgo.EpochOffset) {
	if n[topic] == nil {
		n[topic] = map[int32]kgo.EpochOffset{}
	}
	n[topic][p] = at
}

// publish commits what was noted since the last time. Where that fails, the next time does it.
func (s *shares) publish(client *kgo.Client) {
	s.mu.Lock()
	told := s.notes
	s.notes = notes{}
	s.mu.Unlock()
	if len(told) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTime)
	defer cancel()
	var failure error
	client.CommitOffsetsSync(ctx, told, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if failure = err; err != nil {
			return
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				failure = cmp.Or(failure, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	})
	if failure == nil {
		return
	}
	s.log.logger.Debug("could not tell how far the group is", "group", s.group, "error", failure)
	s.mu.Lock()
	defer s.mu.Unlock()
	for topic, parts := range told {
		for p, at := range parts {
			if _, newer := s.notes[topic][p]; !newer && s.running[p] != nil {
				s.notes.set(topic, p, at)
			}
		}
	}
}

// forget leaves out what was noted of partitions that this member has no longer.
func (s *shares) forget(parts []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range parts {
		for _, of := range s.notes {
			delete(of, p)
		}
	}
}
