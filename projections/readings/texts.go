package readings

import "encoding/binary"

// Texts is a column of texts that rarely repeat: each preceded by its length in bytes as an unsigned varint, which is how
// ClickHouse's Native format has them.
type Texts struct {
	// Packed holds the texts one after the other.
	Packed []byte
	// Rows is their number.
	Rows int
}

func (t *Texts) add(s string) {
	t.Packed = binary.AppendUvarint(t.Packed, uint64(len(s)))
	t.Packed = append(t.Packed, s...)
	t.Rows++
}

func (t *Texts) addBytes(b []byte) {
	t.Packed = binary.AppendUvarint(t.Packed, uint64(len(b)))
	t.Packed = append(t.Packed, b...)
	t.Rows++
}

func (t *Texts) reset() { t.Packed, t.Rows = t.Packed[:0], 0 }
