package broker_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// begin begins a transaction with a record in each of two partitions, which are confirmed.
func begin(t *testing.T, c *kgo.Client, value string) {
	t.Helper()
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for p := range int32(2) {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: p, Value: []byte(value)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

func transactional(t *testing.T, addr string) *kgo.Client {
	t.Helper()
	return client(t, addr, kgo.TransactionalID("test"), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionTimeout(time.Minute))
}

// committed reads both partitions to their very ends, and returns what a reader of what is committed sees.
func committed(t *testing.T, addr string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reader := client(t, addr, kgo.ConsumeTopics("t"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	ends, err := kadm.NewClient(reader).ListEndOffsets(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var seen []string
	for len(left) > 0 {
		fetches := reader.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("partitions %v do not end", left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if r.Offset >= left[r.Partition]-1 {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				seen = append(seen, fmt.Sprintf("%d:%s", r.Partition, r.Value))
			}
		})
	}
	slices.Sort(seen)
	return strings.Join(seen, " ")
}

// mark writes a marker of a client's transaction into one partition, as a commit that a kill interrupts does.
func mark(t *testing.T, c *kgo.Client, partition int32) {
	t.Helper()
	id, epoch, err := c.ProducerID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	topic := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	topic.Topic, topic.Partitions = "t", []int32{partition}
	marker := kmsg.NewWriteTxnMarkersRequestMarker()
	marker.ProducerID, marker.ProducerEpoch, marker.Committed = id, epoch, true
	marker.Topics = append(marker.Topics, topic)
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, marker)
	resp, err := req.RequestWith(t.Context(), c)
	if err == nil {
		err = kerr.ErrorForCode(resp.Markers[0].Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTransactionsEndAfterKill kills the broker at each point of a transaction's life, also twice in a row.
func TestTransactionsEndAfterKill(t *testing.T) {
	dir := t.TempDir()
	addr, kill := child(t, dir)
	c := transactional(t, addr)
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	restart := func() {
		t.Helper()
		kill()
		c.Close()
		addr, kill = child(t, dir)
		kill()
		addr, kill = child(t, dir)
		c = transactional(t, addr)
	}
	f := func(want string) {
		t.Helper()
		if got := committed(t, addr); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	begin(t, c, "lost")
	restart()
	f("")
	begin(t, c, "a")
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	f("0:a 1:a")
	restart()
	f("0:a 1:a")
	begin(t, c, "decided")
	mark(t, c, 1)
	restart()
	f("0:a 0:decided 1:a 1:decided")
	begin(t, c, "lost too")
	restart()
	begin(t, c, "b")
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	f("0:a 0:b 0:decided 1:a 1:b 1:decided")
}

// TestATornEndIsMended cuts a batch and takes entries of the index away, as a kill between two writes does.
func TestATornEndIsMended(t *testing.T) {
	dir := t.TempDir()
	addr, kill := child(t, dir)
	c := transactional(t, addr)
	if _, err := kadm.NewClient(c).CreateTopic(t.Context(), 2, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	begin(t, c, "a")
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	begin(t, c, "lost")
	kill()
	c.Close()
	for p := range 2 {
		folder := filepath.Join(dir, "partitions", fmt.Sprintf("t-%d", p))
		if err := os.Truncate(filepath.Join(folder, "0.idx"), 20); err != nil { // one whole entry of three
			t.Fatal(err)
		}
		segment, err := os.OpenFile(filepath.Join(folder, "0.dat"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := segment.Write([]byte("torn, but longer than the head of a batch, which has sixty-one bytes")); err != nil {
			t.Fatal(err)
		}
		segment.Close()
	}
	addr, _ = child(t, dir)
	if got := committed(t, addr); got != "0:a 1:a" {
		t.Errorf("got %s", got)
	}
	c = transactional(t, addr)
	begin(t, c, "b")
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, addr); got != "0:a 0:b 1:a 1:b" {
		t.Errorf("got %s", got)
	}
}
