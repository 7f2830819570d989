package broker_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/fieldlog/fieldlog/internal/embedded/smalldisk"
)

// offset is what a test commits last.
type offset struct{ acknowledged, tried int64 }

// commit commits one offset after the other until a commit is refused, or n are in.
func (o *offset) commit(t *testing.T, admin *kadm.Client, n int) error {
	t.Helper()
	for range n {
		o.tried++
		offsets := kadm.Offsets{}
		offsets.Add(kadm.Offset{Topic: "t", Partition: 0, At: o.tried, LeaderEpoch: -1, Metadata: fmt.Sprint("note ", o.tried)})
		answers, err := admin.CommitOffsets(t.Context(), "g", offsets)
		if err = errors.Join(err, answers.Error()); err != nil {
			return err
		}
		o.acknowledged = o.tried
	}
	return nil
}

// TestWhatWasAcknowledgedSurvivesAFullDisk fills the disk to the last byte, frees it, has a producer fill it, and kills the broker:
// what was acknowledged before, between and after is there, records and offsets.
func TestWhatWasAcknowledgedSurvivesAFullDisk(t *testing.T) {
	disk := smalldisk.New(t, 48<<20)
	addr, kill := child(t, disk.Dir, "BROKER_TEST_MIN_FREE=16777216")
	plain := []kgo.Opt{kgo.DefaultProduceTopic("t"), kgo.ProducerBatchCompression(kgo.NoCompression())}
	producer := client(t, addr, plain...)
	impatient := client(t, addr, append(plain, kgo.RecordDeliveryTimeout(time.Second))...) // for what is refused
	admin := kadm.NewClient(producer)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]string{}
	// produce produces until a record is refused, or n are in.
	produce := func(by *kgo.Client, what string, n int) error {
		for i := range n {
			value := fmt.Sprint(what, " ", i, string(make([]byte, 100<<10)))
			r, err := by.ProduceSync(t.Context(), kgo.StringRecord(value)).First()
			if err != nil {
				return err
			}
			acknowledged[fmt.Sprint(r.Partition, "/", r.Offset)] = value
		}
		return nil
	}
	var o offset
	if err := errors.Join(produce(producer, "before", 10), o.commit(t, admin, 10)); err != nil {
		t.Fatal(err)
	}
	disk.Fill(t, 8<<20)
	if err := produce(impatient, "meanwhile", 10); err == nil {
		t.Error("with 8 MiB free a produce was taken")
	}
	if err := o.commit(t, admin, 10); err != nil {
		t.Errorf("with 8 MiB free a commit got %v", err)
	}
	disk.Fill(t, 0)
	if err := o.commit(t, admin, 1000); !errors.Is(err, kerr.KafkaStorageError) {
		t.Errorf("on a full disk a commit got %v, want KAFKA_STORAGE_ERROR", err)
	}
	disk.Clear(t)
	if err := errors.Join(produce(producer, "again", 10), o.commit(t, admin, 10)); err != nil { // without a restart
		t.Errorf("with room again: %v", err)
	}
	if err := produce(impatient, "as fast as it can", 1000); err == nil { // 100 MB do not fit
		t.Error("a full disk took everything")
	}
	if free, err := disk.Free(); err != nil || free < 15<<20 {
		t.Errorf("produces left %d bytes free (%v), want the 16 MiB that others need", free, err)
	}
	kill()
	addr, _ = child(t, disk.Dir, "BROKER_TEST_MIN_FREE=1048576")
	checkHeld(t, addr, acknowledged)
	producer = client(t, addr, kgo.DefaultProduceTopic("t"))
	got, err := kadm.NewClient(producer).FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	if at, _ := got.Lookup("t", 0); at.At != o.acknowledged {
		t.Errorf("the committed offset is %d, acknowledged was %d", at.At, o.acknowledged)
	}
	if err := produce(producer, "after", 3); err != nil {
		t.Errorf("with room again: %v", err)
	}
}
