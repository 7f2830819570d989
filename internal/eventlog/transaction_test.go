package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/eventlog/eventlogtest"
	"github.com/fieldlog/fieldlog/schemas"
)

// ids returns the event ids on a topic, sorted.
func ids(t *testing.T, log *eventlog.Log, topic eventlog.Topic) []string {
	t.Helper()
	var all []string
	for r, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: topic}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Header("ce_id"))
	}
	slices.Sort(all)
	return all
}

func transactor(t *testing.T, log *eventlog.Log, id eventlog.TransactionID) *eventlog.Transactor {
	t.Helper()
	tr, err := log.Transactor(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	tr := transactor(t, log, "test")
	failure := errors.New("no")
	f := func(from, to int, fails error, want ...string) {
		t.Helper()
		err := tr.Run(t.Context(), func(tx *eventlog.Tx) error {
			for n := from; n < to; n++ {
				if err := tx.Append(report(n)); err != nil {
					t.Fatal(err)
				}
			}
			return fails
		})
		if !errors.Is(err, fails) {
			t.Errorf("got %v, want %v", err, fails)
		}
		if got := ids(t, log, eventlog.TopicTelemetry); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(0, 0, nil)
	f(1, 4, failure)
	f(4, 6, nil, "event-4", "event-5")
	f(6, 9, failure, "event-4", "event-5")
	f(9, 10, nil, "event-4", "event-5", "event-9")
}

func TestTheLaterTransactorFencesTheEarlier(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	first := transactor(t, log, "test")
	var second *eventlog.Transactor
	err := first.Run(t.Context(), func(tx *eventlog.Tx) error {
		if err := tx.Append(report(1)); err != nil {
			t.Fatal(err)
		}
		second = transactor(t, log, "test")
		return tx.Append(report(2))
	})
	if !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("got %v, want that it was fenced", err)
	}
	append3 := func(tx *eventlog.Tx) error { return tx.Append(report(3)) }
	if err := first.Run(t.Context(), append3); !errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("got %v, want that it stays fenced", err)
	}
	if err := second.Run(t.Context(), append3); err != nil {
		t.Errorf("got %v from the later one", err)
	}
	if err := transactor(t, log, "other").Run(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(report(4)) }); err != nil {
		t.Errorf("got %v from another id", err)
	}
	if got, want := ids(t, log, eventlog.TopicTelemetry), []string{"event-3", "event-4"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestARecordIsRepeatedAsItIs(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	at, err := log.Append(t.Context(), report(1))
	if err != nil {
		t.Fatal(err)
	}
	o := eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}
	err = transactor(t, log, "test").Run(t.Context(), func(tx *eventlog.Tx) error {
		for r, err := range log.Read(t.Context(), o) {
			if err != nil {
				return err
			}
			r.Partition = (at.Partition + 1) % 12 // where its key would not bring it
			tx.Repeat(r, schemas.Header{Key: "again", Value: []byte("1")})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[eventlog.Partition]*eventlog.Record{}
	for r, err := range log.Read(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		found[r.Partition] = r
	}
	first, second := found[at.Partition], found[(at.Partition+1)%12]
	if len(found) != 2 || second == nil || string(second.Key) != string(first.Key) || string(second.Value) != string(first.Value) {
		t.Fatalf("got %v, want the record in two partitions", found)
	}
	if got, want := fmt.Sprint(second.Headers[:len(first.Headers)]), fmt.Sprint(first.Headers); got != want || second.Header("again") != "1" {
		t.Errorf("got headers %v, want %s and one more", second.Headers, want)
	}
}

// TestACommitWaitsForTheClient: see known. What it prevents happens in one of some hundred first transactions on a busy machine.
func TestACommitWaitsForTheClient(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	tr := transactor(t, log, "test")
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := tr.Known(brief, eventlog.TopicTelemetry, 3); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v for a topic that the client has not heard of", err)
	}
	if err := tr.Run(t.Context(), func(tx *eventlog.Tx) error { return tx.AppendTo(3, report(1)) }); err != nil {
		t.Fatal(err)
	}
	if err := tr.Known(t.Context(), eventlog.TopicTelemetry, 3); err != nil {
		t.Error(err)
	}
}

func TestATransactionPutsRecordsWhereItIsTold(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	at, err := log.Append(t.Context(), report(1))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := (at.Partition + 1) % 12
	var first *eventlog.Record
	for r, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		first = r
	}
	err = transactor(t, log, "test").Run(t.Context(), func(tx *eventlog.Tx) error {
		first.Partition = eventlog.ByKey
		tx.Repeat(first)
		return tx.AppendTo(elsewhere, report(1))
	})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[eventlog.Partition]int{}
	for r, err := range log.Read(t.Context(), eventlog.ReadOptions{Topic: eventlog.TopicTelemetry}) {
		if err != nil {
			t.Fatal(err)
		}
		counts[r.Partition]++
	}
	if counts[at.Partition] != 2 || counts[elsewhere] != 1 {
		t.Errorf("got %v records by partition, want 2 in %d and 1 in %d", counts, at.Partition, elsewhere)
	}
}

func TestATransactionSaysThatARecordIsTooLarge(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	tr := transactor(t, log, "test")
	err := tr.Run(t.Context(), func(tx *eventlog.Tx) error {
		tx.Repeat(&eventlog.Record{Position: eventlog.Position{Topic: eventlog.TopicTelemetry}, Value: make([]byte, 1_100_000)})
		return tx.Append(report(1))
	})
	if !errors.Is(err, eventlog.ErrTooLarge) || errors.Is(err, eventlog.ErrFenced) {
		t.Errorf("got %v, want that it is too large", err)
	}
	if err := tr.Run(t.Context(), func(tx *eventlog.Tx) error { return tx.Append(report(2)) }); err != nil {
		t.Errorf("got %v afterwards", err)
	}
	if got := ids(t, log, eventlog.TopicTelemetry); !slices.Equal(got, []string{"event-2"}) {
		t.Errorf("got %q", got)
	}
}

// TestBlocksStoreAPartitionToItsEnd lets partitions end in markers and aborted records, which are in the log but never read.
func TestBlocksStoreAPartitionToItsEnd(t *testing.T) {
	cluster := eventlogtest.Start(t)
	log := cluster.Open(t, cluster.Config())
	tr := transactor(t, log, "test")
	n := 0
	transact := func(outcome error) {
		t.Helper()
		err := tr.Run(t.Context(), func(tx *eventlog.Tx) error {
			for range 20 {
				n++
				if err := tx.Append(report(n)); err != nil {
					return err
				}
			}
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Fatal(err)
		}
	}
	s, aborted := newStore(), errors.New("aborted")
	blocks, err := log.Blocks(eventlog.BlockOptions{Group: "test", Topic: eventlog.TopicTelemetry, MaxRecords: 7, MaxAge: 20 * time.Millisecond}, s)
	if err != nil {
		t.Fatal(err)
	}
	run := func(want int) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- blocks.Run(ctx) }()
		s.wait(t, want)
		committed(t, cluster, log)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	transact(nil)
	transact(aborted)
	run(20)
	transact(aborted)
	appendReports(t, log, 1000, 20)
	transact(nil)
	transact(nil)
	transact(aborted)
	run(60)
	if len(s.records) != 80 {
		t.Errorf("%d records are stored, want 80", len(s.records))
	}
	for p, times := range s.records {
		if times != 1 {
			t.Errorf("%v is stored %d times", p, times)
		}
	}
}

// committed waits until the group's offsets are the ends of the partitions.
func committed(t *testing.T, cluster *eventlogtest.Cluster, log *eventlog.Log) {
	t.Helper()
	admin := cluster.Admin(t)
	ends, err := log.Ends(t.Context(), eventlog.TopicTelemetry)
	if err != nil {
		t.Fatal(err)
	}
	missing := ""
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		offsets, err := admin.FetchOffsets(t.Context(), cluster.Name("test"))
		if err != nil {
			t.Fatal(err)
		}
		missing = ""
		for p, end := range ends {
			if o, _ := offsets.Lookup(cluster.Name("telemetry"), int32(p)); o.At != int64(end.Next) && end.Next > 0 {
				missing = fmt.Sprintf("partition %d: offset %d, its end is %d", p, o.At, end.Next)
			}
		}
		if missing == "" {
			return
		}
	}
	t.Error(missing)
}
