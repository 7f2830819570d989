package wire

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

const (
	// held is how much of an answer is kept back, so that an error can still have a status of its own.
	held = 1 << 20
	// patience is how long a client may take for a piece of an answer.
	patience = time.Minute
	// smallest is the size below which an answer is not worth gzip.
	smallest = 1 << 10
)

// answer writes what the engine answers the way the client asked for it.
type answer struct {
	w      http.ResponseWriter
	req    *request
	format string
	limit  int64 // of what is kept back

	kept      bytes.Buffer // not sent yet
	rewritten []byte       // the last piece at the client's revision
	started   bool         // headers are sent
	out       io.Writer    // where the rest goes
	zip       *gzip.Writer // nil without gzip

	rows, sent                     uint64
	read, readBytes, wrote, stored uint64
}

func newAnswer(w http.ResponseWriter, req *request, s *statement, limit int64) *answer {
	a := &answer{w: w, req: req, format: req.format, limit: held}
	if s.format != "" {
		a.format = s.format
	}
	if req.whole {
		a.limit = limit
	}
	return a
}

// count takes over the counts of a piece.
func (a *answer) count(piece *chdb.Result) {
	a.rows += piece.Rows
	a.read, a.readBytes = max(a.read, piece.RowsRead), max(a.readBytes, piece.BytesRead)
	a.wrote, a.stored = max(a.wrote, piece.RowsWritten), max(a.stored, piece.BytesWritten)
}

// errGone is the end of a client that does not read its answer.
var errGone = errors.New("the client takes no more of the answer")

// add sends a piece, or keeps it back. The data may be reused.
func (a *answer) add(data []byte) error {
	if a.format == "Native" && a.req.revision > 0 {
		rewritten, err := appendAtRevision(a.rewritten[:0], data, a.req.revision)
		if err != nil {
			return &failure{http.StatusNotImplemented, 48, fmt.Sprintf("%v; cast it, or ask for another format. (NOT_IMPLEMENTED)", err)}
		}
		data, a.rewritten = rewritten, rewritten
	}
	a.sent += uint64(len(data))
	switch {
	case a.started:
		return a.write(data)
	case int64(a.kept.Len()+len(data)) <= a.limit:
		a.kept.Write(data)
		return nil
	case a.req.whole:
		return errTooLong(a.limit)
	}
	a.start(false)
	if err := a.write(a.kept.Bytes()); err != nil {
		return err
	}
	a.kept.Reset()
	return a.write(data)
}

// start sends the headers.
func (a *answer) start(complete bool) {
	a.started = true
	header := a.w.Header()
	header.Set("X-ClickHouse-Summary", a.summary())
	if a.format != "" {
		header.Set("X-ClickHouse-Format", a.format)
		header.Set("Content-Type", contentType(a.format))
	}
	a.out = a.w
	switch {
	case a.req.pack:
		a.out = &blockWriter{w: a.w, pack: compress.NewWriter(compress.LevelZero, compress.LZ4)}
	case a.req.gzip && (!complete || a.kept.Len() >= smallest):
		header.Set("Content-Encoding", "gzip")
		a.zip, _ = gzip.NewWriterLevel(a.w, gzip.BestSpeed) // the level is known
		a.out = a.zip
	case complete:
		header.Set("Content-Length", strconv.Itoa(a.kept.Len()))
	}
	a.w.WriteHeader(http.StatusOK)
}

func (a *answer) summary() string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"0","result_rows":"%d","result_bytes":"%d"}`,
		a.read, a.readBytes, a.wrote, a.stored, a.rows, a.sent)
}

// write sends data within the time a client may take for it.
func (a *answer) write(data []byte) error {
	_ = http.NewResponseController(a.w).SetWriteDeadline(time.Now().Add(patience)) // without one, the write just waits
	if _, err := a.out.Write(data); err != nil {
		return errGone
	}
	return nil
}

// end sends what is left.
func (a *answer) end() error {
	if !a.started {
		a.start(true)
	}
	err := a.write(a.kept.Bytes())
	if err == nil && a.zip != nil {
		err = a.zip.Close()
	}
	if err != nil {
		return a.fail(err)
	}
	return nil
}

// fail returns the error if it can still be answered, and breaks the connection off if it cannot: the client sees that the
// answer is not complete.
func (a *answer) fail(err error) error {
	if !a.started {
		return err
	}
	if !errors.Is(err, errGone) && !errors.Is(err, context.Canceled) && !a.req.pack && a.format != "Native" {
		_ = a.write([]byte("\n" + plain(err.Error()) + "\n")) // for the eyes, as ClickHouse does
		if a.zip != nil {
			_ = a.zip.Flush()
		}
	}
	_ = http.NewResponseController(a.w).Flush()
	if conn, _, hijackErr := http.NewResponseController(a.w).Hijack(); hijackErr == nil {
		_ = conn.Close()
	}
	return nil
}

// blockWriter writes ClickHouse's own compressed blocks.
type blockWriter struct {
	w    io.Writer
	pack *compress.Writer
}

// Write implements io.Writer.
func (b *blockWriter) Write(data []byte) (n int, err error) {
	for n < len(data) {
		piece := data[n:min(len(data), n+held)]
		if err := b.pack.Compress(piece); err != nil {
			return n, fmt.Errorf("compress an answer: %w", err)
		}
		if _, err := b.w.Write(b.pack.Data); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSONEachRow"), strings.HasPrefix(format, "JSONCompactEachRow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case format == "CSVWithNames" || format == "CSVWithNamesAndTypes":
		return "text/csv; charset=UTF-8; header=present"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case format == "Native", strings.HasPrefix(format, "RowBinary"), format == "Parquet", strings.HasPrefix(format, "Arrow"):
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}
