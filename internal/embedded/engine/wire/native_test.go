package wire

import (
	"bytes"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
)

// block is a block of two rows at a revision, as ch-go writes it.
func block(t testing.TB, revision int) []byte {
	t.Helper()
	texts := new(proto.ColStr).LowCardinality()
	texts.AppendArr([]string{"a", "b"})
	numbers := new(proto.ColFloat64).Nullable()
	numbers.AppendArr([]proto.Nullable[float64]{proto.NewNullable(1.5), {}})
	lists := new(proto.ColUInt32).Array()
	lists.AppendArr([][]uint32{{1, 2, 3}, {}})
	maps := proto.NewMap(new(proto.ColStr), new(proto.ColStr))
	maps.AppendArr([]map[string]string{{"k": "v"}, {}})
	input := proto.Input{{Name: "t", Data: texts}, {Name: "n", Data: numbers}, {Name: "l", Data: lists}, {Name: "m", Data: maps}}
	var buffer proto.Buffer
	b := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(input), Rows: 2}
	if err := b.EncodeRawBlock(&buffer, revision, input); err != nil {
		t.Fatal(err)
	}
	if revision < revisionBlockInfo {
		return buffer.Buf
	}
	var info proto.Buffer
	b.Info.Encode(&info)
	return append(info.Buf, buffer.Buf...)
}

func TestAtRevisionIsWhatAnEncoderWrites(t *testing.T) {
	const revision = 54460
	got, err := appendAtRevision(nil, append(block(t, 0), block(t, 0)...), revision)
	if want := append(block(t, revision), block(t, revision)...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

func TestAtRevisionRefuses(t *testing.T) {
	whole := block(t, 0)
	for n := 1; n < len(whole); n++ {
		if _, err := appendAtRevision(nil, whole[:n], 54460); err == nil {
			t.Errorf("a block cut after %d of %d bytes was taken", n, len(whole))
		}
	}
}

func TestTypeOf(t *testing.T) {
	f := func(text string, known bool) {
		t.Helper()
		if _, err := typeOf(text); (err == nil) != known {
			t.Errorf("%q: got %v, want known %v", text, err, known)
		}
	}
	f("Map(LowCardinality(String), Array(Nullable(Float64)))", true)
	f("Tuple(a UInt8, `b c` Enum8('x, (' = 1), Decimal(76, 2))", true)
	f("SimpleAggregateFunction(sum, UInt64)", true)
	f("Nested(a UInt8, b Polygon)", true)
	f("Variant(String, DateTime64(6, 'UTC'))", true)
	f("AggregateFunction(sum, UInt8)", false)
	f("Dynamic", false)
	f("Array", false)
	f("", false)
}

func FuzzAtRevision(f *testing.F) {
	f.Add(block(f, 0))
	f.Add([]byte("\x01\x01\x01v\x16Variant(String, UInt8)\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := appendAtRevision(nil, data, 54460)
		if err == nil && len(out) > 5*len(data) { // at most ten bytes for a block of two
			t.Errorf("%d bytes became %d", len(data), len(out))
		}
	})
}
