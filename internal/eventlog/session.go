package eventlog

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	// errLost says that the partition belongs to somebody else by now.
	errLost = errors.New("the partition was lost")
	// errStale says that the member must join the group anew: it was given a new identity, so that what it knew may be old, or
	// has a commit under way that may arrive after later ones, or its topic is not the one that it joined for.
	errStale = errors.New("this member has to join the group anew")
)

// session is one membership in the group, from joining to leaving.
type session struct {
	blocks *Blocks
	client *kgo.Client
	ctx    context.Context // ends when the session is to end; its cause says why
	cancel context.CancelCauseFunc

	mu      sync.RWMutex // held for reading by every commit, for writing while partitions are lost
	workers map[Partition]*worker

	coordinator atomic.Pointer[kgo.Broker] // of the group; nil when not known
}

// pollRecords bounds what one poll hands out.
const pollRecords = 20_000

// How often a member is heard of within a session timeout, and the longest silence between.
const (
	heartbeats   = 6
	maxHeartbeat = 3 * time.Second
)

func (s *session) options() []kgo.Opt {
	o := s.blocks.opts
	return []kgo.Opt{
		kgo.ConsumerGroup(s.blocks.log.cfg.Prefix + string(o.Group)),
		kgo.ConsumeTopics(s.blocks.log.fullName(o.Topic)),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(o.SessionTimeout),
		kgo.RebalanceTimeout(o.Drain + o.SessionTimeout), // a member may drain, and be silent
		kgo.HeartbeatInterval(min(o.SessionTimeout/heartbeats, maxHeartbeat)),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // so that a partition which ends in one is stored to its end
		kgo.FetchMaxWait(250 * time.Millisecond),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnOffsetsFetched(s.fetched),
		kgo.AdjustFetchOffsetsFn(s.adjust),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.revoked(parts) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { s.lost(parts) }),
		kgo.WithPools(newPools()...),
	}
}

// fetched starts a worker for each partition whose committed offset just arrived, before its first record does.
func (s *session) fetched(_ context.Context, client *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	for _, group := range resp.Groups {
		for _, topic := range group.Topics {
			for _, p := range topic.Partitions {
				s.start(client, TopicID(topic.TopicID), p)
			}
		}
	}
	return nil
}

func (s *session) start(client *kgo.Client, id TopicID, p kmsg.OffsetFetchResponseGroupTopicPartition) {
	if p.ErrorCode != 0 {
		return // the client asks again
	}
	var note announcement
	if p.Metadata != nil {
		note = parseAnnouncement(*p.Metadata)
	}
	member, _ := client.GroupMetadata()
	w := newWorker(s, Partition(p.Partition), id, member)
	w.next = max(Offset(p.Offset), 0)
	if note.topicID != "" && note.topicID != id.String() {
		s.blocks.log.logger.Warn("topic was created anew, starting from its beginning", "topic", s.blocks.opts.Topic, "partition", p.Partition)
		w.recreated, w.next = true, 0
	} else if note.block && p.Offset >= 0 {
		w.again = &note
	}
	s.mu.Lock()
	old := s.workers[w.partition]
	s.workers[w.partition] = w
	s.mu.Unlock()
	if old != nil { // the client lost its place: whatever the old worker knew is void
		old.abandon()
	}
	client.ResumeFetchPartitions(s.named(w.partition)) // a pause for an earlier worker outlives it
	go w.run()
}

// adjust begins at the start of a topic that was deleted and created again: the committed offset is the old one's.
func (s *session) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, parts := range offsets {
		for p := range parts {
			if w := s.workers[Partition(p)]; w != nil && w.recreated {
				parts[p] = kgo.NewOffset().AtStart()
			}
		}
	}
	return offsets, nil
}

// revoked returns when the partitions' workers have finished and committed what they were storing.
func (s *session) revoked(parts map[string][]int32) {
	leaving := s.remove(parts)
	for _, w := range leaving {
		w.drain()
	}
	timeout := time.NewTimer(s.blocks.opts.Drain)
	defer timeout.Stop()
	for _, w := range leaving {
		select {
		case <-w.done:
		case <-timeout.C:
			timeout.Reset(0) // time is up for the others too
			s.blocks.log.logger.Warn("gave up a block when its partition was revoked", "topic", s.blocks.opts.Topic, "partition", w.partition)
			w.abandon()
		}
	}
}

// lost forgets the partitions: nothing of them is committed from here on.
func (s *session) lost(parts map[string][]int32) {
	for _, w := range s.remove(parts) {
		w.abandon()
	}
}

func (s *session) remove(parts map[string][]int32) []*worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	var removed []*worker
	for _, numbers := range parts {
		for _, n := range numbers {
			if w := s.workers[Partition(n)]; w != nil {
				removed = append(removed, w)
				delete(s.workers, w.partition)
			}
		}
	}
	return removed
}

// poll hands records to the workers until the session is to end. It never waits for a worker: a partition whose
// worker is behind is paused, so that the group's affairs go on.
func (s *session) poll() error {
	for {
		fetches := s.client.PollRecords(s.ctx, pollRecords)
		if s.ctx.Err() != nil {
			s.client.AllowRebalance()
			return context.Cause(s.ctx)
		}
		s.logErrors(fetches)
		fetches.EachTopic(func(t kgo.FetchTopic) { t.EachPartition(s.deliver) })
		s.client.AllowRebalance()
	}
}

func (s *session) logErrors(fetches kgo.Fetches) {
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.Canceled) {
			s.blocks.log.logger.Warn("cannot read for now", "topic", s.blocks.opts.Topic, "partition", failed.Partition, "error", failed.Err)
		}
		if errors.Is(failed.Err, kerr.UnknownTopicID) { // deleted and created again: this client will never read it
			s.cancel(errStale)
		}
	}
}

func (s *session) deliver(p kgo.FetchPartition) {
	s.mu.RLock()
	w := s.workers[Partition(p.Partition)]
	s.mu.RUnlock()
	if w == nil || len(p.Records) == 0 {
		return
	}
	w.highWater.Store(p.HighWatermark)
	if w.inbox.put(p.Records) {
		s.client.PauseFetchPartitions(s.named(w.partition))
	}
}

func (s *session) resume(p Partition) { s.client.ResumeFetchPartitions(s.named(p)) }

func (s *session) named(p Partition) map[string][]int32 {
	return map[string][]int32{s.blocks.log.fullName(s.blocks.opts.Topic): {int32(p)}}
}
