package clickhouse

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// InsertOptions is one block to insert.
type InsertOptions struct {
	// Table without its database.
	Table string
	// Token names the block: equal tokens, equal blocks.
	Token string
	// Rows of every column.
	Rows int
	// Columns of the block; those of the table that are missing get their default.
	Columns []Column
}

// Insert stores one block as one part, see the package's promises. It returns the bytes that were sent.
func (c *Client) Insert(ctx context.Context, o InsertOptions) (int, error) {
	b := c.blocks.Get().(*block)
	defer func() { b.release(); c.blocks.Put(b) }()
	if err := b.encode(o.Columns, o.Rows); err != nil {
		return 0, fmt.Errorf("insert into %q: %w", o.Table, err)
	}
	send, size := bodies{pieces: b.pieces}, b.size
	if c.cfg.Compression == LZ4 {
		packed, err := b.frames.compress(b.pieces)
		if err != nil {
			return 0, fmt.Errorf("insert into %q: %w", o.Table, err)
		}
		send.pieces, size = [][]byte{packed}, len(packed)
	}
	err := c.post(ctx, c.insertURL(&o), &send, size)
	send.open.Wait()
	if err != nil {
		return 0, fmt.Errorf("insert %d rows into %q: %w", o.Rows, o.Table, err)
	}
	return size, nil
}

// unbounded is more rows or bytes than a block of ours ever has.
const unbounded = "1000000000"

// oneBlock are the settings that keep a block whole and make its token count, in the table and in each dependent one.
var oneBlock = [][2]string{
	{"async_insert", "0"},
	{"optimize_on_insert", "0"}, // no two rows of a block of ours have one key
	{"wait_end_of_query", "1"},
	{"insert_deduplicate", "1"},
	{"deduplicate_blocks_in_dependent_materialized_views", "1"},
	{"max_partitions_per_insert_block", "1"},
	{"throw_on_max_partitions_per_insert_block", "1"},
	{"max_insert_threads", "1"},
	{"max_threads", "1"},
	{"parallel_view_processing", "0"},
	{"max_block_size", unbounded},
	{"max_insert_block_size", unbounded},
	{"min_insert_block_size_rows", unbounded},
	{"min_insert_block_size_bytes", "0"},
	{"min_insert_block_size_rows_for_materialized_views", unbounded},
	{"min_insert_block_size_bytes_for_materialized_views", "0"},
	{"input_format_parallel_parsing", "0"},
}

func (c *Client) insertURL(o *InsertOptions) string {
	names := make([]string, len(o.Columns))
	for i := range o.Columns {
		names[i] = "`" + o.Columns[i].Name + "`"
	}
	values := url.Values{}
	values.Set("query", "INSERT INTO "+c.Table(o.Table)+" ("+strings.Join(names, ",")+") FORMAT Native")
	for _, setting := range oneBlock {
		values.Set(setting[0], setting[1])
	}
	values.Set("insert_deduplication_token", o.Token)
	if c.cfg.Compression == LZ4 {
		values.Set("decompress", "1")
	}
	u := *c.url
	u.RawQuery = values.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// post sends a body of the given size and reads the answer.
func (c *Client) post(ctx context.Context, address string, send *bodies, size int) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
	if err != nil {
		return err
	}
	if c.cfg.User != "" {
		request.Header.Set("X-ClickHouse-User", c.cfg.User)
		request.Header.Set("X-ClickHouse-Key", c.cfg.Password)
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.ContentLength, request.GetBody = int64(size), send.next
	request.Body, _ = send.next()
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	return failure(answer, string(text))
}

const maxAnswer = 64 << 10

// failure returns the error that an answer reports, if any. The server may find an error after it has sent status 200.
func failure(answer *http.Response, text string) error {
	code, _ := strconv.Atoi(answer.Header.Get("X-ClickHouse-Exception-Code"))
	if code == 0 {
		code = codeIn(text)
	}
	if answer.StatusCode == http.StatusOK && code == 0 {
		return nil
	}
	return &Exception{Code: code, Status: answer.StatusCode, Message: strings.TrimSpace(text)}
}

// codeIn finds the code in "Code: 60. DB::Exception: ...".
func codeIn(text string) int {
	_, after, found := strings.Cut(text, "Code: ")
	if !found || !strings.Contains(text, "DB::Exception") {
		return 0
	}
	digits, _, _ := strings.Cut(after, ".")
	code, _ := strconv.Atoi(digits)
	return code
}
