package eventlog_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
)

// network loses the first announcement on its way to the broker, as far as the member can tell, and delivers it later.
type network struct {
	cluster *eventlogtest.Fake
	mu      sync.Mutex
	held    *kmsg.OffsetCommitRequest
	down    bool // nothing arrives any more
}

var errNetwork = errors.New("the connection broke")

func (n *network) begin() {
	n.cluster.Kafka.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		n.cluster.Kafka.KeepControl()
		n.mu.Lock()
		defer n.mu.Unlock()
		switch {
		case n.held == nil:
			n.held = r.(*kmsg.OffsetCommitRequest)
			return nil, errNetwork, true
		case n.down && r != kmsg.Request(n.held):
			return nil, errNetwork, true
		}
		return nil, nil, false
	})
}

// deliver brings the held announcement to the broker, and nothing after it until restore.
func (n *network) deliver(t *testing.T) {
	t.Helper()
	n.mu.Lock()
	late := *n.held
	n.mu.Unlock()
	client, err := kgo.NewClient(kgo.SeedBrokers(n.cluster.Kafka.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := late.RequestWith(t.Context(), client); err != nil {
		t.Fatal(err)
	}
	n.set(true)
}

func (n *network) set(down bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = down
}

// TestALateCommitDoesNotSetTheGroupBack lets the announcement of the first block arrive when the second one is announced already,
// and the member die right after it has stored that one. The next member must cut the second block as it was announced.
func TestALateCommitDoesNotSetTheGroupBack(t *testing.T) {
	cluster := eventlogtest.StartFake(t)
	cfg := cluster.Config()
	cfg.Partitions = 1
	log := cluster.Open(t, cfg)
	n := &network{cluster: cluster}
	n.begin()
	s := newStore()
	s.setFault(func(b eventlog.Block) error {
		if b.First == 10 {
			n.deliver(t)
		}
		return nil
	})
	want := appendReports(t, log, 0, 40)
	stop := runBlocks(t, log, s, eventlog.BlockOptions{MaxRecords: 10, MaxAge: time.Minute, Drain: time.Millisecond})
	s.wait(t, 20)
	stop()

	n.set(false)
	s.setFault(nil)
	runBlocks(t, log, s, eventlog.BlockOptions{MaxRecords: 7, MaxAge: 20 * time.Millisecond})
	s.wait(t, 20)
	s.checkOnce(t, want)
}
