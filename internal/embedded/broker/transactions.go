package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// A transaction ends by a marker in each of its partitions. The cluster writes them one after the other and keeps no note of its
// decision, so that a kill leaves a transaction without markers, or with some. The cluster takes what has no marker for aborted
// and writes none: readers would wait at the end of such a partition for ever, and take for aborted what the same producer commits
// next. So what a kill interrupted is ended on disk before the cluster reads it:
//
//  1. The last two segments of each partition are read for transactions without a marker. A torn batch at the end is cut off, and
//     batches that the index lacks, since it is written after them, are entered there: the cluster learns from it that they
//     belong to a transaction.
//  2. A transaction that has a commit marker in another partition was decided, and all its records are on disk: it is committed.
//     Any other one is aborted. Its marker is appended to each partition that lacks it. Crash: the markers that were written
//     count the next time.
//
// It is done before the file of sequence numbers is made, whose absence tells of a kill.

// transaction is one of a producer. Most raise the epoch with each; for those that do not, a marker counts only if it is no older
// than the records.
type transaction struct {
	producer int64
	epoch    int16
}

// tail is the end of a partition as a kill left it.
type tail struct {
	segment string // the last one
	size    int64  // of its whole batches
	batches []batchHead
	open    map[transaction]int64 // the time of the latest records
	last    batchHead
}

// endTransactions ends what a kill interrupted. After a Close there is nothing to do.
func endTransactions(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, sequencesFile)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folders, err := filepath.Glob(filepath.Join(dir, "partitions", "*"))
	if err != nil {
		return err
	}
	var tails []*tail
	committed := map[transaction]int64{} // the time of the latest marker
	for _, folder := range folders {
		t, err := readTail(folder, committed)
		if err == nil && t != nil {
			err = t.mend()
		}
		if err != nil {
			return fmt.Errorf("mend the end of %q: %w", filepath.Base(folder), err)
		}
		if t != nil {
			tails = append(tails, t)
		}
	}
	for _, t := range tails {
		for open, written := range t.open {
			decided, is := committed[open]
			if err := t.end(open, is && decided >= written); err != nil {
				return fmt.Errorf("end a transaction in %q: %w", t.segment, err)
			}
		}
	}
	return nil
}

// readTail reads the end of a partition, and notes the transactions that have a commit marker in it. Nil: it is empty.
func readTail(folder string, committed map[transaction]int64) (*tail, error) {
	segments, err := lastSegments(folder)
	if err != nil || len(segments) == 0 {
		return nil, err
	}
	t := &tail{open: map[transaction]int64{}}
	for _, segment := range segments {
		t.segment, t.size, t.batches = segment, 0, nil
		err := eachBatch(segment, func(b *batchHead, raw []byte) {
			t.size += int64(len(raw))
			t.batches, t.last = append(t.batches, *b), *b
			of := transaction{b.producer, b.epoch}
			switch {
			case b.control():
				maps.DeleteFunc(t.open, func(o transaction, _ int64) bool { return o.producer == of.producer && o.epoch <= of.epoch })
				if commits(raw) {
					committed[of] = max(committed[of], b.time)
				}
			case b.transactional():
				t.open[of] = max(t.open[of], b.time)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return t, nil
}

// commits tells whether a batch of a marker commits.
func commits(raw []byte) bool {
	var record kmsg.Record
	var key kmsg.ControlRecordKey
	return record.ReadFrom(raw[batchHeadSize:]) == nil && key.ReadFrom(record.Key) == nil && key.Type == kmsg.ControlRecordKeyTypeCommit
}

// mend cuts off a torn batch, and makes the index tell of each batch that is there.
func (t *tail) mend() error {
	if err := os.Truncate(t.segment, t.size); err != nil {
		return err
	}
	index := indexOf(t.segment)
	info, err := os.Stat(index)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entered := 0
	if info != nil {
		entered = int(info.Size() / indexEntry)
		if err := os.Truncate(index, int64(min(entered, len(t.batches))*indexEntry)); err != nil {
			return err
		}
	}
	var missing []byte
	for _, b := range t.batches[min(entered, len(t.batches)):] {
		missing = append(missing, b.indexEntry()...)
	}
	return appendTo(index, missing)
}

func indexOf(segment string) string { return strings.TrimSuffix(segment, ".dat") + ".idx" }

// indexEntry is the size of an entry of the cluster's index.
const indexEntry = 15

// indexEntry returns a batch's entry in the cluster's form: version, checksum, leader's epoch, a time that is worked out anew, and
// whether it belongs to a transaction that was open when it was written.
func (b *batchHead) indexEntry() []byte {
	entry := make([]byte, indexEntry)
	entry[0] = 1
	binary.LittleEndian.PutUint32(entry[2:], uint32(b.leader))
	if b.transactional() && !b.control() {
		entry[14] = 1
	}
	entry[1] = byte(crc32.Checksum(entry[2:], castagnoli))
	return entry
}

// end appends the marker that ends a transaction.
func (t *tail) end(of transaction, commit bool) error {
	marker := markerOf(of, commit, t.last.offset+int64(t.last.delta)+1, t.last.leader)
	head := headOf(marker)
	if err := appendTo(t.segment, marker); err != nil {
		return err
	}
	t.last = head
	return appendTo(indexOf(t.segment), head.indexEntry())
}

// markerOf returns the batch of a marker (Kafka's format, version 2).
func markerOf(of transaction, commit bool, offset int64, leader int32) []byte {
	key, marker := kmsg.ControlRecordKey{Type: kmsg.ControlRecordKeyTypeAbort}, kmsg.EndTxnMarker{}
	if commit {
		key.Type = kmsg.ControlRecordKeyTypeCommit
	}
	record := kmsg.Record{Key: key.AppendTo(nil), Value: marker.AppendTo(nil)}
	record.Length = int32(len(record.AppendTo(nil)) - 1) // the length itself, in one byte, does not count
	now := time.Now().UnixMilli()
	batch := kmsg.RecordBatch{
		FirstOffset: offset, PartitionLeaderEpoch: leader, Magic: 2, Attributes: controlBit | transactionalBit,
		FirstTimestamp: now, MaxTimestamp: now, ProducerID: of.producer, ProducerEpoch: of.epoch, FirstSequence: -1,
		NumRecords: 1, Records: record.AppendTo(nil),
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - beforeLength)
	batch.CRC = int32(crc32.Checksum(batch.AppendTo(nil)[beforeCRC:], castagnoli))
	return batch.AppendTo(nil)
}

// appendTo appends to a file, and waits for the disk.
func appendTo(path string, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	_, err = bytes.NewReader(data).WriteTo(file)
	return errors.Join(err, file.Sync(), file.Close())
}
