package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// readBody reads a request's body whole, unpacked, into buf, within the bound in both forms.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request, buf []byte) ([]byte, *problem) {
	paced := &pacedReader{
		src: http.MaxBytesReader(w, r.Body, g.cfg.MaxBody), control: http.NewResponseController(w),
		rate: g.cfg.MinRate, until: time.Now().Add(g.cfg.HeaderTimeout),
	}
	unpacked, done, wrong := unpack(r.Header.Get("Content-Encoding"), paced, g.cfg.MaxBody)
	if wrong != nil {
		return buf, wrong
	}
	defer done()
	buf, err := readAll(unpacked, buf, g.cfg.MaxBody)
	if err != nil {
		return buf, g.bodyProblem(err)
	}
	return buf, nil
}

var errTooLarge = errors.New("the body is too large")

func (g *Gateway) bodyProblem(err error) *problem {
	var large *http.MaxBytesError
	switch {
	case errors.Is(err, errTooLarge), errors.As(err, &large), errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return newProblem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes; send fewer reports at once", g.cfg.MaxBody))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return newProblem(http.StatusRequestTimeout, "the body stalled")
	}
	return newProblem(http.StatusBadRequest, "the body cannot be read: "+err.Error())
}

// unpack undoes the content coding. done gives back what it took.
func unpack(coding string, src io.Reader, limit int64) (unpacked io.Reader, done func(), wrong *problem) {
	done = func() {}
	var err error
	switch coding {
	case "", "identity":
		return src, done, nil
	case "gzip", "x-gzip":
		unpacked, err = gzip.NewReader(src)
	case "deflate": // RFC 9110 means zlib; some clients send the bare stream
		unpacked, err = newDeflate(src)
	case "zstd":
		var d *zstd.Decoder
		d, err = zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit)), zstd.WithDecoderMaxWindow(8<<20))
		if err == nil {
			done = d.Close
		}
		unpacked = d
	default:
		return nil, done, newProblem(http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Encoding %q is not taken; use gzip, zstd, deflate or none", coding))
	}
	if err != nil {
		return nil, done, newProblem(http.StatusBadRequest, fmt.Sprintf("the body is not %s: %v", coding, err))
	}
	return unpacked, done, nil
}

// newDeflate tells zlib from bare deflate by zlib's header (RFC 1950, section 2.2).
func newDeflate(src io.Reader) (io.Reader, error) {
	var head [2]byte
	if _, err := io.ReadFull(src, head[:]); err != nil {
		return nil, err
	}
	whole := io.MultiReader(&sliceReader{head[:]}, src)
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(whole)
	}
	return flate.NewReader(whole), nil
}

type sliceReader struct{ rest []byte }

// Read implements io.Reader.
func (s *sliceReader) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// readAll reads into buf, growing it, and stops at the limit.
func readAll(src io.Reader, buf []byte, limit int64) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := src.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return buf, errTooLarge
		}
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// pacedReader fails when a body comes slower than a rate, after a first grace.
type pacedReader struct {
	src     io.Reader
	control *http.ResponseController
	rate    int64
	until   time.Time
}

// Read implements io.Reader.
func (p *pacedReader) Read(b []byte) (int, error) {
	if err := p.control.SetReadDeadline(p.until); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return 0, err
	}
	n, err := p.src.Read(b)
	p.until = p.until.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	if errors.Is(err, io.EOF) {
		_ = p.control.SetReadDeadline(time.Time{}) // the connection serves the next request
	}
	return n, err
}
