package broker_test

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// producer sends batches by hand, so that it can send one again.
type producer struct {
	topic kadm.TopicDetail
	id    int64
	epoch int16
}

// send sends the record of a sequence number and returns its offset.
func (p *producer) send(t *testing.T, c *kgo.Client, sequence int32) int64 {
	t.Helper()
	request := kmsg.NewPtrProduceRequest()
	request.Acks, request.TimeoutMillis = -1, 10_000
	part := kmsg.NewProduceRequestTopicPartition()
	part.Records = p.batch(sequence)
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = p.topic.Topic, p.topic.ID
	topic.Partitions = append(topic.Partitions, part)
	request.Topics = append(request.Topics, topic)
	answer, err := c.SeedBrokers()[0].Request(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	got := answer.(*kmsg.ProduceResponse).Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		t.Fatalf("sequence number %d: %v", sequence, err)
	}
	return got.BaseOffset
}

// batch is a record batch (version 2) of one record.
func (p *producer) batch(sequence int32) []byte {
	record := kmsg.Record{Value: binary.AppendVarint([]byte("sequence "), int64(sequence))}
	record.Length = int32(len(record.AppendTo(nil)) - 1)
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, ProducerID: p.id, ProducerEpoch: p.epoch, FirstSequence: sequence,
		NumRecords: 1, Records: record.AppendTo(nil),
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// TestWhatIsSentAgainAfterAKillIsNotAppendedTwice sends batches to a broker, and after a kill the last of them to the next one, as a
// producer does that got no answer; then it goes on.
func TestWhatIsSentAgainAfterAKillIsNotAppendedTwice(t *testing.T) {
	dir := t.TempDir()
	addr, kill := child(t, dir)
	c := client(t, addr)
	admin := kadm.NewClient(c)
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	topics, err := admin.ListTopics(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{topic: topics["t"], id: answer.ProducerID, epoch: answer.ProducerEpoch}
	const batches = 12 // more than the broker remembers
	for n := range int32(batches) {
		if at := p.send(t, c, n); at != int64(n) {
			t.Fatalf("batch %d is at offset %d", n, at)
		}
	}
	for range 2 { // a kill after a kill
		kill()
		addr, kill = child(t, dir)
		c = client(t, addr)
		for n := int32(batches - 5); n < batches; n++ {
			if at := p.send(t, c, n); at != int64(n) {
				t.Errorf("batch %d, sent again, is at offset %d", n, at)
			}
		}
	}
	if at := p.send(t, c, batches); at != batches {
		t.Errorf("the batch that follows is at offset %d, want %d", at, batches)
	}
}
