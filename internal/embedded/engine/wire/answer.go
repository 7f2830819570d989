package wire

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/compress"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// send writes an answer the way the client asked for it.
func (h *Handler) send(w http.ResponseWriter, req *request, result chdb.Result, format string) error {
	data := result.Data
	if format == "Native" && req.revision > 0 {
		transcoded, err := atRevision(data, req.revision)
		if err != nil {
			return &failure{http.StatusNotImplemented, fmt.Sprintf("Code: 48. DB::Exception: %v; cast it, or ask for another format. (NOT_IMPLEMENTED)", err)}
		}
		data = transcoded
	}
	header := w.Header()
	header.Set("Content-Type", contentType(format))
	header.Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","result_bytes":"%d"}`,
		result.RowsRead, result.BytesRead, result.RowsWritten, result.BytesWritten, len(data)))
	if format != "" {
		header.Set("X-ClickHouse-Format", format)
	}
	switch {
	case req.compress && len(data) > 0:
		return sendBlocks(w, data)
	case req.gzip && len(data) > 1024:
		header.Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		if _, err := zip.Write(data); err != nil {
			return nil //nolint:nilerr // the client went away; there is nobody to tell
		}
		return zip.Close()
	}
	header.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
	return nil
}

// compressedBlock is how much of an answer goes into one compressed block.
const compressedBlock = 1 << 20

// sendBlocks writes data in ClickHouse's own compressed blocks.
func sendBlocks(w io.Writer, data []byte) error {
	blocks := compress.NewWriter(compress.LevelZero, compress.LZ4)
	for len(data) > 0 {
		n := min(len(data), compressedBlock)
		if err := blocks.Compress(data[:n]); err != nil {
			return fmt.Errorf("compress an answer: %w", err)
		}
		if _, err := w.Write(blocks.Data); err != nil {
			return nil //nolint:nilerr // the client went away; there is nobody to tell
		}
		data = data[n:]
	}
	return nil
}

func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "JSONEachRow"), strings.HasPrefix(format, "JSONCompactEachRow"):
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case format == "Native", strings.HasPrefix(format, "RowBinary"), format == "Parquet", strings.HasPrefix(format, "Arrow"):
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}
