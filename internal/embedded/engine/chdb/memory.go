package chdb

import (
	"runtime"
	"strings"
	"unsafe"
)

// memory keeps Go memory in place while C looks at it.
type memory struct{ pin runtime.Pinner }

func (m *memory) release() { m.pin.Unpin() }

// text returns a zero-terminated copy.
func (m *memory) text(s string) unsafe.Pointer {
	b := make([]byte, len(s)+1)
	copy(b, s)
	m.pin.Pin(&b[0])
	return unsafe.Pointer(&b[0])
}

// bytes returns the slice's own memory, nil if it is empty.
func (m *memory) bytes(b []byte) unsafe.Pointer {
	if len(b) == 0 {
		return nil
	}
	m.pin.Pin(&b[0])
	return unsafe.Pointer(&b[0])
}

func (m *memory) pointers(p []unsafe.Pointer) unsafe.Pointer {
	m.pin.Pin(&p[0])
	return unsafe.Pointer(&p[0])
}

// texts makes the two C arrays of one side of the parameters: pointers and lengths.
func (m *memory) texts(params []Param, side func(Param) string) (pointers, lengths unsafe.Pointer) {
	if len(params) == 0 {
		return nil, nil
	}
	ps, ls := make([]unsafe.Pointer, len(params)), make([]uint, len(params))
	for i, p := range params {
		ps[i], ls[i] = m.text(side(p)), uint(len(side(p)))
	}
	m.pin.Pin(&ls[0])
	return m.pointers(ps), unsafe.Pointer(&ls[0])
}

// Quote quotes a text for a statement, in single quotes as a value or in backquotes as a name.
func Quote(text string, quote byte) string {
	q := string(quote)
	return q + strings.NewReplacer(`\`, `\\`, q, `\`+q).Replace(text) + q
}
