package eventlog_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// TestAMemberThatIsStillJoiningEnds lets the coordinator keep a member waiting, as Apache Kafka does while it misses one that was
// killed.
func TestAMemberThatIsStillJoiningEnds(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	log := cluster.Open(t, cluster.Config())
	joining := make(chan struct{}, 64)
	for _, key := range []kmsg.Key{kmsg.JoinGroup, kmsg.LeaveGroup} {
		cluster.Kafka.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			cluster.Kafka.KeepControl()
			if join, ok := req.(*kmsg.JoinGroupRequest); ok && join.MemberID == "" {
				return nil, nil, false // it is told its name
			}
			joining <- struct{}{}
			return nil, nil, true
		})
	}
	f := func(name string, run func(ctx context.Context) error) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- run(ctx) }()
		<-joining
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: got %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s did not end", name)
		}
		for len(joining) > 0 {
			<-joining
		}
	}
	blocks, err := log.Blocks(eventlog.BlockOptions{Group: "test", Topic: eventlog.TopicTelemetry, Drain: time.Second}, newStore())
	if err != nil {
		t.Fatal(err)
	}
	f("blocks", blocks.Run)
	f("a share", func(ctx context.Context) error {
		return log.Share(ctx, "other", eventlog.TopicTelemetry, func(context.Context, eventlog.Partition) error { return nil })
	})
}
