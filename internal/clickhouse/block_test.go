package clickhouse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
)

// native returns the bytes of a block, after checking that they are as many as it says.
func native(t testing.TB, rows int, columns ...Column) []byte {
	t.Helper()
	var b block
	if err := b.encode(columns, rows); err != nil {
		t.Fatal(err)
	}
	send := bodies{pieces: b.pieces}
	body, err := send.next()
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) != b.size {
		t.Fatalf("the block says %d bytes, the body has %d", b.size, len(data))
	}
	return data
}

// TestAnIndependentReaderUnderstands decodes with the library that clickhouse-go is made of.
func TestAnIndependentReaderUnderstands(t *testing.T) {
	f := func(rows, values int) {
		t.Helper()
		index, names := make([]uint32, rows), make([]string, values)
		numbers, texts := make([]int64, rows), []byte{}
		for i := range names {
			names[i] = fmt.Sprint("v", i)
		}
		for i := range index {
			index[i], numbers[i] = uint32((i*7)%values), int64(i)-3
			texts = append(texts, 2, 'a'+byte(i%26), 'b')
		}
		var lc, same = new(proto.ColStr).LowCardinality(), new(proto.ColStr).LowCardinality()
		var number proto.ColInt64
		var text proto.ColStr
		var partition proto.ColUInt32
		data := native(t, rows,
			Column{"lc", "LowCardinality(String)", Coded(index, names)},
			Column{"number", "Int64", Numbers(numbers)},
			Column{"text", "String", Packed(texts, rows)},
			Column{"same", "LowCardinality(String)", Same("telemetry", rows)},
			Column{"partition", "UInt32", SameUint32(77, rows)},
		)
		read := proto.Block{}
		err := read.DecodeRawBlock(proto.NewReader(bytes.NewReader(data)), 0, proto.Results{
			{Name: "lc", Data: lc}, {Name: "number", Data: &number}, {Name: "text", Data: &text},
			{Name: "same", Data: same}, {Name: "partition", Data: &partition},
		})
		if err != nil {
			t.Fatalf("%d rows of %d values: %v", rows, values, err)
		}
		for i := range rows {
			if lc.Row(i) != names[index[i]] || number.Row(i) != numbers[i] || text.Row(i) != string([]byte{'a' + byte(i%26), 'b'}) ||
				same.Row(i) != "telemetry" || partition.Row(i) != 77 {
				t.Fatalf("%d rows of %d values: row %d differs", rows, values, i)
			}
		}
	}
	f(1, 1)
	f(3, 2)
	f(1000, 256)
	f(1000, 257)
	f(70_000, 65_536)
	f(70_000, 65_537)
}

func TestMapsAreRead(t *testing.T) {
	data := native(t, 3, Column{"labels", "Map(String, String)", Map([]uint64{2, 2, 3},
		Packed([]byte("\x01a\x01b\x01c"), 3), Packed([]byte("\x01x\x01y\x01z"), 3))})
	labels := proto.NewMap[string, string](new(proto.ColStr), new(proto.ColStr))
	read := proto.Block{}
	if err := read.DecodeRawBlock(proto.NewReader(bytes.NewReader(data)), 0, proto.Results{{Name: "labels", Data: labels}}); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(labels.Row(0), labels.Row(1), labels.Row(2)), "map[a:x b:y] map[] map[c:z]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestColumnsOfUnequalLengthAreRefused(t *testing.T) {
	var b block
	if err := b.encode([]Column{{"a", "Int64", Numbers([]int64{1})}, {"b", "Int64", Numbers([]int64{1, 2})}}, 1); err == nil {
		t.Error("got no error")
	}
}

func TestFramesAreRead(t *testing.T) {
	var frames frames
	for _, size := range []int{0, 1, frameSize - 1, frameSize, frameSize + 1, 3*frameSize + 5} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(i * i >> 8)
		}
		packed, err := frames.compress([][]byte{data[:size/3], data[size/3:]})
		if err != nil {
			t.Fatal(err)
		}
		reader, got := compress.NewReader(bytes.NewReader(packed)), make([]byte, size)
		if n, err := io.ReadFull(reader, got); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes came back as %d: %v", size, n, err)
		}
		if _, err := reader.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%d bytes: something follows: %v", size, err)
		}
	}
}

// TestBodiesAreIndependent reads one of two bodies halfway, as HTTP does when it sends a request again.
func TestBodiesAreIndependent(t *testing.T) {
	send := bodies{pieces: [][]byte{[]byte("abc"), []byte("de")}}
	first, _ := send.next()
	if _, err := io.ReadFull(first, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	second, _ := send.next()
	if data, err := io.ReadAll(second); err != nil || string(data) != "abcde" {
		t.Errorf("got %q, %v", data, err)
	}
	_, _ = first.Close(), second.Close()
	_ = first.Close()
	send.open.Wait()
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("a closed body is still read")
	}
}

func TestEncodingAllocatesNothing(t *testing.T) {
	var b block
	index := slices.Repeat([]uint32{0, 1}, 1000)
	columns := []Column{{"a", "LowCardinality(String)", Coded(index, []string{"x", "y"})}, {"b", "UInt32", Numbers(index)}}
	if n := testing.AllocsPerRun(100, func() {
		if err := b.encode(columns, len(index)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations a block, want none", n)
	}
}
