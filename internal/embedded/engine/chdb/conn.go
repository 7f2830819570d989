package chdb

import (
	"io"
	"unsafe"
)

// Conn is one connection, with settings, a current database and temporary tables of its own.
type Conn struct {
	db     *DB
	lib    *library
	handle unsafe.Pointer // chdb_connection*
}

// Close closes the connection and forgets all that was set on it.
func (c *Conn) Close() {
	if c.handle == nil {
		return
	}
	c.lib.closeConn(c.handle)
	c.handle = nil
	c.db.open.Done()
}

// Param is a query parameter, {Name:Type} in the statement. Its value is written as in a field of TSV.
type Param struct{ Name, Value string }

// Error is an exception of the engine: "Code: 60. DB::Exception: ...".
type Error struct{ Text string }

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Result is an answer, or a piece of one, in the engine's memory. Close frees it.
type Result struct {
	// Data is in the format that was asked for, and valid until Close.
	Data []byte
	// Rows is how many rows Data has.
	Rows uint64
	// RowsRead, BytesRead, RowsWritten and BytesWritten are the engine's own counts of the tables' rows; rows written
	// include those of materialized views.
	RowsRead, BytesRead, RowsWritten, BytesWritten uint64

	lib    *library
	handle unsafe.Pointer
}

// Close frees the result.
func (r *Result) Close() {
	if r.handle == nil {
		return
	}
	r.lib.freeResult(r.handle)
	r.handle, r.Data = nil, nil
}

// Query runs a statement and answers in format, unless the statement names one itself. An error of the engine is an *Error.
func (c *Conn) Query(statement, format string, params []Param) (*Result, error) {
	return c.result(c.call(c.lib.query, statement, format, params))
}

// Exec runs a statement whose answer is of no interest.
func (c *Conn) Exec(statement string) error {
	result, err := c.Query(statement, "Null", nil)
	if err != nil {
		return err
	}
	result.Close()
	return nil
}

func (c *Conn) call(f queryFunc, statement, format string, params []Param) unsafe.Pointer {
	var m memory
	defer m.release()
	names, nameLens := m.texts(params, func(p Param) string { return p.Name })
	values, valueLens := m.texts(params, func(p Param) string { return p.Value })
	return f(*(*unsafe.Pointer)(c.handle), m.text(statement), uint(len(statement)), m.text(format), uint(len(format)),
		names, nameLens, values, valueLens, uint(len(params)))
}

// result takes over a handle of the library.
func (c *Conn) result(handle unsafe.Pointer) (*Result, error) {
	if handle == nil {
		return nil, &Error{"Code: 1001. DB::Exception: the engine gave no result. (STD_EXCEPTION)"}
	}
	if text := c.lib.resultError(handle); text != "" {
		c.lib.freeResult(handle)
		return nil, &Error{text}
	}
	return &Result{
		Data:     unsafe.Slice((*byte)(c.lib.buffer(handle)), c.lib.length(handle)),
		Rows:     c.lib.rows(handle),
		RowsRead: c.lib.rowsRead(handle), BytesRead: c.lib.bytesRead(handle),
		RowsWritten: c.lib.rowsWritten(handle), BytesWritten: c.lib.bytesWritten(handle),
		lib: c.lib, handle: handle,
	}, nil
}

// Stream is the answer of a SELECT in pieces of a few megabytes at most.
type Stream struct {
	conn   *Conn
	handle unsafe.Pointer
}

// Stream runs a SELECT. Each piece is a whole document of the format, with its header and footer: use a format that has
// none. Only statements that begin with SELECT or WITH, or are in parentheses, can be streamed.
func (c *Conn) Stream(statement, format string, params []Param) (*Stream, error) {
	handle := c.call(c.lib.stream, statement, format, params)
	if _, err := c.peek(handle); err != nil {
		return nil, err
	}
	return &Stream{conn: c, handle: handle}, nil
}

// peek frees a handle that reports an error.
func (c *Conn) peek(handle unsafe.Pointer) (unsafe.Pointer, error) {
	if handle == nil {
		return nil, &Error{"Code: 1001. DB::Exception: the engine gave no stream. (STD_EXCEPTION)"}
	}
	if text := c.lib.resultError(handle); text != "" {
		c.lib.freeResult(handle)
		return nil, &Error{text}
	}
	return handle, nil
}

// Next returns the next piece, io.EOF after the last one. Close each piece.
func (s *Stream) Next() (*Result, error) {
	piece, err := s.conn.result(s.conn.lib.fetch(*(*unsafe.Pointer)(s.conn.handle), s.handle))
	if err != nil {
		return nil, err
	}
	if len(piece.Data) == 0 {
		piece.Close()
		return nil, io.EOF
	}
	return piece, nil
}

// Close ends the statement, if it has not ended, and frees the stream.
func (s *Stream) Close() {
	if s.handle == nil {
		return
	}
	s.conn.lib.cancel(*(*unsafe.Pointer)(s.conn.handle), s.handle)
	s.conn.lib.freeResult(s.handle)
	s.handle = nil
}

// Insert runs an INSERT statement (without FORMAT) with all of its data. The engine inserts block by block and never takes
// back: what is to be stored whole or not at all must be one block (max_insert_block_size, min_insert_block_size_rows) of one
// partition value, and be sent whole, which is why there is no way to send it in pieces.
func (c *Conn) Insert(statement, format string, data []byte, params []Param) (*Result, error) {
	stream := c.call(c.lib.insert, statement, format, params)
	if stream == nil {
		return nil, &Error{"Code: 1001. DB::Exception: the engine opened no insert. (STD_EXCEPTION)"}
	}
	defer c.lib.freeInsert(stream)
	if text := c.lib.insertError(stream); text != "" {
		return nil, &Error{text}
	}
	var m memory
	defer m.release()
	if len(data) > 0 && c.lib.appendInsert(stream, m.bytes(data), uint(len(data))) != 0 {
		text := c.lib.insertError(stream)
		c.lib.cancelInsert(stream)
		return nil, &Error{text}
	}
	return c.result(c.lib.doneInsert(stream))
}
