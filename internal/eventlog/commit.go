package eventlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// announcement is the metadata of a commit: "first-last@topic id" announces a block, "@topic id" none. The topic id
// tells an offset of a topic that was deleted and created again apart.
type announcement struct {
	block       bool
	first, last Offset
	topicID     string
}

func (a announcement) String() string {
	if !a.block {
		return "@" + a.topicID
	}
	return fmt.Sprintf("%d-%d@%s", a.first, a.last, a.topicID)
}

// parseAnnouncement reads what String wrote; anything else is no announcement.
func parseAnnouncement(text string) announcement {
	span, id, found := strings.Cut(text, "@")
	if !found {
		return announcement{}
	}
	none := announcement{topicID: id}
	from, to, found := strings.Cut(span, "-")
	if !found {
		return none
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if err1 != nil || err2 != nil || first < 0 || last < first {
		return none
	}
	return announcement{block: true, first: Offset(first), last: Offset(last), topicID: id}
}

// commit sets the group's offset of w's partition, with a note. It holds the session's lock, so that a partition cannot
// be lost and the member not join anew between the check of ownership and the broker's answer.
func (s *session) commit(ctx context.Context, w *worker, offset Offset, note announcement) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if w.gone.Load() {
		return errLost
	}
	member, generation := s.client.GroupMetadata()
	if member != w.member {
		return errStale
	}
	err := s.request(ctx, w, member, generation, offset, note)
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	s.blocks.log.metrics.commits.WithLabelValues(string(s.blocks.opts.Topic), outcome).Inc()
	return err
}

func (s *session) request(ctx context.Context, w *worker, member string, generation int32, offset Offset, note announcement) error {
	text := note.String()
	part := kmsg.NewOffsetCommitRequestTopicPartition()
	part.Partition, part.Offset, part.Metadata = int32(w.partition), int64(offset), &text
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = s.blocks.log.fullName(s.blocks.opts.Topic), [16]byte(w.topicID)
	topic.Partitions = append(topic.Partitions, part)
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group = s.blocks.log.cfg.Prefix + string(s.blocks.opts.Group)
	req.MemberID, req.Generation = member, generation
	req.Topics = append(req.Topics, topic)
	resp, err := s.once(ctx, req)
	if err != nil {
		return fmt.Errorf("commit %d of partition %d: %w", offset, w.partition, err)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return fmt.Errorf("commit %d of partition %d: %w", offset, w.partition, errSilent)
	}
	if err := kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode); err != nil {
		s.coordinator.Store(nil) // it may be another one by now
		return fmt.Errorf("commit %d of partition %d: %w", offset, w.partition, err)
	}
	return nil
}

// once sends a commit to the group's coordinator, and does not send it again when no answer comes. Such a commit may still
// arrive, any time later: a network delivers what it held back. If others followed it under the same member, then
//
//  1. the announcement of block A is sent, held back, sent again, and confirmed;
//  2. A is stored, block B is announced and stored;
//  3. the first announcement of A arrives. It is of a live member of the current generation: the group stands at A again;
//  4. the member dies. The next one cuts A again, which does no harm, and then a block that is not B.
//
// So it is the last commit of its member, which leaves the group: what arrives from then on is refused.
func (s *session) once(ctx context.Context, req *kmsg.OffsetCommitRequest) (*kmsg.OffsetCommitResponse, error) {
	coordinator, err := s.findCoordinator(ctx, req.Group)
	if err != nil {
		return nil, err
	}
	resp, err := coordinator.Request(ctx, req)
	if err == nil {
		return resp.(*kmsg.OffsetCommitResponse), nil
	}
	s.coordinator.Store(nil)
	var refused *net.OpError
	if errors.As(err, &refused) && refused.Op == "dial" {
		return nil, err // it was not sent
	}
	return nil, fmt.Errorf("%w: a commit was not answered: %w", errStale, err)
}

// findCoordinator returns the group's coordinator, asked for once until a commit fails.
func (s *session) findCoordinator(ctx context.Context, group string) (*kgo.Broker, error) {
	if known := s.coordinator.Load(); known != nil {
		return known, nil
	}
	found := s.blocks.log.admin.FindGroupCoordinators(ctx, group)[group]
	if found.Err != nil {
		return nil, fmt.Errorf("find the coordinator of group %q: %w", group, found.Err)
	}
	coordinator := s.client.Broker(int(found.NodeID))
	s.coordinator.Store(coordinator)
	return coordinator, nil
}

var errSilent = errors.New("the broker's answer does not mention it")
