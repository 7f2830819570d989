package wire

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// budget is how many bytes of bodies may still come into memory.
type budget struct{ free atomic.Int64 }

func (b *budget) take(n int64) bool {
	if b.free.Add(-n) >= 0 {
		return true
	}
	b.free.Add(n)
	return false
}

// body is a request's body in memory that the budget knows of. Give it back with release.
type body struct {
	data  []byte
	taken int64
}

// pooled is how large a buffer may be to be kept for the next body.
const pooled = 64 << 20

func (h *Handler) release(b *body) {
	h.memory.free.Add(b.taken)
	if data := b.data[:0]; cap(data) > 0 && cap(data) <= pooled {
		h.buffers.Put(&data)
	}
	b.data = nil
}

// upload is how long a client may take to send a body.
const upload = 5 * time.Minute

// readBody reads the request's body whole: unpacked, and within the bounds.
func (h *Handler) readBody(w http.ResponseWriter, r *http.Request, blocks bool) (*body, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(upload)) // no deadline in a test's recorder
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	src, closer, err := decoded(r)
	if err != nil {
		return nil, err
	}
	defer closer()
	if blocks {
		src = untilEnd{compress.NewReader(src)}
	}
	b := &body{}
	if kept, _ := h.buffers.Get().(*[]byte); kept != nil {
		b.data = *kept
	}
	if err := h.fill(b, src, r.ContentLength); err != nil {
		h.release(b)
		return nil, err
	}
	return b, nil
}

// fill reads src to its end into b.
func (h *Handler) fill(b *body, src io.Reader, announced int64) error {
	if !h.grow(b, min(announced, h.cfg.MaxBody)+1) {
		return errMemory
	}
	for {
		if len(b.data) == cap(b.data) && !h.grow(b, 2*int64(cap(b.data))) {
			return errMemory
		}
		n, err := src.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		if int64(len(b.data)) > h.cfg.MaxBody {
			return &failure{http.StatusRequestEntityTooLarge, 307, fmt.Sprintf("the body has more than %d bytes. (TOO_MANY_BYTES)", h.cfg.MaxBody)}
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return unreadable(err)
		}
	}
}

var errMemory = &failure{http.StatusServiceUnavailable, 241, "the bodies of other requests fill the memory, try again. (MEMORY_LIMIT_EXCEEDED)"}

// grow makes room for at least size bytes, within the budget.
func (h *Handler) grow(b *body, size int64) bool {
	size = max(size, 512, int64(cap(b.data)))
	if !h.memory.take(size - b.taken) {
		return false
	}
	b.taken = size
	if size > int64(cap(b.data)) {
		b.data = append(make([]byte, 0, size), b.data...)
	}
	return true
}

// decoded undoes the Content-Encoding.
func decoded(r *http.Request) (src io.Reader, closer func(), err error) {
	closer = func() {}
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		src = r.Body
	case "gzip":
		src, err = gzip.NewReader(bufio.NewReader(r.Body))
	case "deflate":
		src, err = zlib.NewReader(bufio.NewReader(r.Body))
	case "br":
		src = brotli.NewReader(r.Body)
	case "lz4":
		src = lz4.NewReader(r.Body)
	case "zstd":
		unpack, failed := zstd.NewReader(r.Body, zstd.WithDecoderMaxWindow(128<<20), zstd.WithDecoderConcurrency(1))
		if failed == nil {
			return unpack, unpack.Close, nil
		}
		err = failed
	default:
		return nil, nil, &failure{http.StatusUnsupportedMediaType, 89, fmt.Sprintf("Content-Encoding %q is not served. (UNKNOWN_COMPRESSION_METHOD)", encoding)}
	}
	if err != nil {
		return nil, nil, unreadable(err)
	}
	return src, closer, nil
}

func unreadable(err error) error {
	return &failure{http.StatusBadRequest, 33, fmt.Sprintf("cannot read the request's body: %v. (CANNOT_READ_ALL_DATA)", err)}
}

// untilEnd gives the plain end of file where the block reader wraps it.
type untilEnd struct{ blocks *compress.Reader }

// Read implements io.Reader.
func (u untilEnd) Read(p []byte) (int, error) {
	n, err := u.blocks.Read(p)
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}
