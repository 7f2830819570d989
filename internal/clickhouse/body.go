package clickhouse

import (
	"errors"
	"io"
	"sync"
)

// bodies are the request bodies made of one block. HTTP's transport may still read a body after the request has ended;
// whoever reuses the block's memory waits first.
type bodies struct {
	pieces [][]byte
	open   sync.WaitGroup
}

// next returns another body that reads the block from its beginning.
func (b *bodies) next() (io.ReadCloser, error) {
	b.open.Add(1)
	return &body{pieces: b.pieces, done: b.open.Done}, nil
}

// body reads pieces until it is closed. After that it does not touch them.
type body struct {
	mu     sync.Mutex
	pieces [][]byte
	at     int // in the first piece
	closed bool
	done   func()
}

var errClosed = errors.New("the request body is closed")

// Read implements io.Reader.
func (r *body) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, errClosed
	}
	n := 0
	for n < len(p) && len(r.pieces) > 0 {
		k := copy(p[n:], r.pieces[0][r.at:])
		n, r.at = n+k, r.at+k
		if r.at == len(r.pieces[0]) {
			r.pieces, r.at = r.pieces[1:], 0
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close implements io.Closer.
func (r *body) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.closed, r.pieces = true, nil
		r.done()
	}
	return nil
}
