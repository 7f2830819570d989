package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
)

// block is a block of two rows at a revision, as ch-go writes it.
func block(t testing.TB, revision int) []byte {
	t.Helper()
	return blockOf(t, []string{"k", ""}, revision)
}

// blockOf is a block of a row for each text.
func blockOf(t testing.TB, rows []string, revision int) []byte {
	t.Helper()
	texts := new(proto.ColStr).LowCardinality()
	texts.AppendArr(rows)
	numbers := new(proto.ColFloat64).Nullable()
	lists := new(proto.ColUInt32).Array()
	maps := proto.NewMap(new(proto.ColStr), new(proto.ColStr))
	for _, row := range rows {
		numbers.Append(proto.Nullable[float64]{Set: len(row)%2 == 1, Value: 1.5})
		list, pairs := []uint32{}, map[string]string{}
		for _, c := range row {
			list = append(list, uint32(c))
		}
		if len(row) > 0 { // one at most: their order is random
			pairs[row] = "v"
		}
		lists.Append(list)
		maps.Append(pairs)
	}
	input := proto.Input{{Name: "t", Data: texts}, {Name: "n", Data: numbers}, {Name: "l", Data: lists}, {Name: "m", Data: maps}}
	var buffer proto.Buffer
	b := proto.Block{Info: proto.BlockInfo{BucketNum: -1}, Columns: len(input), Rows: len(rows)}
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

// FuzzEncoded holds the rewriting against ch-go's encoder: rewritten, a block is byte for byte what it writes itself.
func FuzzEncoded(f *testing.F) {
	const revision = 54460
	f.Add("")
	f.Add("k,")
	f.Add(strings.Repeat("north,south,,", 100)) // a dictionary
	f.Fuzz(func(t *testing.T, text string) {
		rows := strings.Split(text, ",")
		got, err := appendAtRevision(nil, blockOf(t, rows, 0), revision)
		if want := blockOf(t, rows, revision); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %q (%v), want %q", rows, got, err, want)
		}
	})
}

// FuzzAtRevision holds the rewriting against ch-go's decoder: what is rewritten, and it reads at revision 0, is the same block
// when it reads it at the later one.
func FuzzAtRevision(f *testing.F) {
	const revision = 54460
	f.Add(block(f, 0))
	f.Add(append(block(f, 0), block(f, 0)...))
	f.Add([]byte("\x01\x01\x01v\x16Variant(String, UInt8)\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, err := appendAtRevision(nil, data, revision)
		if err != nil {
			return // ch-go makes room for whatever length it reads
		}
		if len(out) > 5*len(data) { // at most ten bytes for a block of two
			t.Errorf("%d bytes became %d", len(data), len(out))
		}
		want, ok := canonical(data, 0)
		if !ok {
			return
		}
		if got, ok := canonical(out, revision); !ok || !bytes.Equal(got, want) {
			t.Errorf("%q became %q, which reads as %q, want %q", data, out, got, want)
		}
	})
}

// canonical reads one block as a client of a revision does and writes it as ch-go writes it at revision 0. ok is false where it
// cannot.
func canonical(data []byte, revision int) (written []byte, ok bool) {
	var b proto.Block
	var results proto.Results
	r := proto.NewReader(bytes.NewReader(data))
	if err := b.DecodeBlock(r, revision, results.Auto()); err != nil {
		return nil, false
	}
	if _, err := r.ReadByte(); err == nil {
		return nil, false // something follows
	}
	var input proto.Input
	for _, column := range results {
		data, ok := column.Data.(proto.ColInput)
		if !ok {
			return nil, false
		}
		input = append(input, proto.InputColumn{Name: column.Name, Data: data})
	}
	var buffer proto.Buffer
	err := b.EncodeRawBlock(&buffer, 0, input)
	return buffer.Buf, err == nil
}
