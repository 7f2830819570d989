package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// An idempotent producer sends a batch again that was not confirmed, and the broker tells by the batch's sequence number that it
// has it. The cluster keeps those numbers in memory, and on disk only when it is closed: after a kill it would append a batch that
// was written but not confirmed a second time. So they are brought back from the log, as Apache Kafka does:
//
//  1. Start finds the file that the last Close wrote, or makes it from the last two segments of each partition.
//  2. The cluster reads it. Nobody is let in yet.
//  3. The file is removed, then producers are let in. Crash from here on: 1 makes it anew.
//  4. Close has the cluster write it.

const sequencesFile = "seq_windows.json"

// window is what one producer did last in one partition, in the cluster's own form.
type window struct {
	PID     int64       `json:"pid"`
	Topic   string      `json:"topic"`
	Part    int32       `json:"partition"`
	Entries [5]sequence `json:"entries"`
	Count   uint8       `json:"count"`
	At      uint8       `json:"at"` // where the next entry goes
	Epoch   int16       `json:"epoch"`
	Seen    bool        `json:"seen"`
	NextSeq int32       `json:"next_seq"`
}

// sequence is one batch.
type sequence struct {
	First  int32 `json:"first_seq"`
	Next   int32 `json:"next_seq"`
	Offset int64 `json:"offset"`
}

func (w *window) add(b *batchHead) {
	if !w.Seen || w.Epoch != b.epoch {
		*w = window{PID: w.PID, Topic: w.Topic, Part: w.Part, Epoch: b.epoch, Seen: true}
	}
	w.NextSeq = int32((int64(b.sequence) + int64(b.records)) % math.MaxInt32)
	w.Entries[w.At] = sequence{First: b.sequence, Next: w.NextSeq, Offset: b.offset}
	w.At = (w.At + 1) % uint8(len(w.Entries))
	w.Count = min(w.Count+1, uint8(len(w.Entries)))
}

// restoreSequences makes the file of sequence numbers if the broker was not closed.
func restoreSequences(dir string) error {
	path := filepath.Join(dir, sequencesFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	folders, err := filepath.Glob(filepath.Join(dir, "partitions", "*"))
	if err != nil {
		return err
	}
	var windows []*window
	for _, folder := range folders {
		found, err := partitionWindows(folder)
		if err != nil {
			return fmt.Errorf("restore the sequence numbers of %q: %w", filepath.Base(folder), err)
		}
		windows = append(windows, found...)
	}
	if len(windows) == 0 { // perhaps there is no folder yet
		return nil
	}
	text, err := json.Marshal(map[string]any{"version": 1, "windows": windows})
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// partitionWindows reads the windows of a partition, whose folder is called topic-number.
func partitionWindows(folder string) ([]*window, error) {
	name := filepath.Base(folder)
	cut := strings.LastIndexByte(name, '-')
	if cut < 0 {
		return nil, nil
	}
	topic, err := url.PathUnescape(name[:cut])
	if err != nil {
		return nil, err
	}
	part, err := strconv.ParseInt(name[cut+1:], 10, 32)
	if err != nil {
		return nil, err
	}
	segments, err := lastSegments(folder)
	if err != nil {
		return nil, err
	}
	byProducer := map[int64]*window{}
	var windows []*window
	for _, segment := range segments {
		err := eachBatch(segment, func(b *batchHead, _ []byte) {
			if b.producer < 0 || b.control() {
				return
			}
			w := byProducer[b.producer]
			if w == nil {
				w = &window{PID: b.producer, Topic: topic, Part: int32(part)}
				byProducer[b.producer], windows = w, append(windows, w)
			}
			w.add(b)
		})
		if err != nil {
			return nil, err
		}
	}
	return windows, nil
}

// lastSegments returns the paths of the last two segments. The few batches that a producer has under way lie in them.
func lastSegments(folder string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.dat"))
	if err != nil {
		return nil, err
	}
	base := func(path string) int64 {
		n, _ := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".dat"), 10, 64)
		return n
	}
	slices.SortFunc(paths, func(a, b string) int { return int(base(a) - base(b)) })
	return paths[max(0, len(paths)-2):], nil
}

// batchHead is what a record batch (Kafka's format, version 2) says about its producer.
type batchHead struct {
	offset, producer  int64
	time              int64 // the latest of its records, or when a marker was written; in milliseconds
	sequence, records int32
	delta, leader     int32 // of the last offset; epoch of the leader
	epoch, attributes int16
}

func (b *batchHead) control() bool       { return b.attributes&controlBit != 0 }
func (b *batchHead) transactional() bool { return b.attributes&transactionalBit != 0 }

// headOf reads the head of a whole batch.
func headOf(batch []byte) batchHead {
	return batchHead{
		offset: int64(binary.BigEndian.Uint64(batch)), leader: int32(binary.BigEndian.Uint32(batch[12:])),
		attributes: int16(binary.BigEndian.Uint16(batch[21:])), delta: int32(binary.BigEndian.Uint32(batch[23:])),
		time: int64(binary.BigEndian.Uint64(batch[35:])), producer: int64(binary.BigEndian.Uint64(batch[43:])),
		epoch: int16(binary.BigEndian.Uint16(batch[51:])), sequence: int32(binary.BigEndian.Uint32(batch[53:])), records: int32(binary.BigEndian.Uint32(batch[57:])),
	}
}

const (
	batchHeadSize = 61
	beforeLength  = 12 // bytes of offset and length, which the length does not count
	beforeCRC     = 21
	controlBit    = 0x20
	largestBatch  = 1 << 30

	transactionalBit = 0x10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// eachBatch calls f for each batch, up to the first that is torn: the cluster drops what lies behind. raw is valid until f returns.
func eachBatch(path string, f func(b *batchHead, raw []byte)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var batch []byte
	for r := bufio.NewReaderSize(file, 1<<20); ; {
		head, err := r.Peek(beforeLength)
		if err != nil {
			return ignoreEnd(err)
		}
		size := int64(beforeLength) + int64(int32(binary.BigEndian.Uint32(head[8:])))
		if size < batchHeadSize || size > largestBatch {
			return nil
		}
		batch = slices.Grow(batch[:0], int(size))[:size]
		if _, err := io.ReadFull(r, batch); err != nil {
			return ignoreEnd(err)
		}
		if binary.BigEndian.Uint32(batch[17:]) != crc32.Checksum(batch[beforeCRC:], castagnoli) {
			return nil
		}
		b := headOf(batch)
		f(&b, batch)
	}
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
