// Package chdb binds the C API of libchdb, the ClickHouse engine as a library, without cgo.
//
// The library may be loaded once in a process and keeps threads of its own, so Fieldlog loads it only in a child process
// made for it. A [DB] is a pool of connections to one data folder; each call borrows a connection, blocks an operating
// system thread while the engine works, and may be made from any goroutine. Results are copied into Go memory and the
// engine's are freed before a call returns.
package chdb

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library holds the functions of libchdb. Lengths are explicit, so that texts may hold zero bytes.
type library struct {
	setSignalHandlers func(enabled int32)
	version           func() string
	connect           func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)
	query             func(conn, query unsafe.Pointer, queryLen uint, format unsafe.Pointer, formatLen uint, names, nameLens, values, valueLens unsafe.Pointer, params uint) unsafe.Pointer
	buffer            func(result unsafe.Pointer) unsafe.Pointer
	length            func(result unsafe.Pointer) uint
	rowsRead          func(result unsafe.Pointer) uint64
	bytesRead         func(result unsafe.Pointer) uint64
	rowsWritten       func(result unsafe.Pointer) uint64
	bytesWritten      func(result unsafe.Pointer) uint64
	resultError       func(result unsafe.Pointer) string
	freeResult        func(result unsafe.Pointer)
	insert            func(conn, query unsafe.Pointer, queryLen uint, format unsafe.Pointer, formatLen uint) unsafe.Pointer
	appendInsert      func(stream, data unsafe.Pointer, n uint) int32
	doneInsert        func(stream unsafe.Pointer) unsafe.Pointer
	insertError       func(stream unsafe.Pointer) string
	freeInsert        func(stream unsafe.Pointer)
}

func load(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("load engine library %q: %w", path, err)
	}
	l := &library{}
	functions := map[string]any{
		"chdb_set_signal_handlers_enabled": &l.setSignalHandlers,
		"chdb_version":                     &l.version,
		"chdb_connect":                     &l.connect,
		"chdb_close_conn":                  &l.closeConn,
		"chdb_query_with_params_n":         &l.query,
		"chdb_result_buffer":               &l.buffer,
		"chdb_result_length":               &l.length,
		"chdb_result_rows_read":            &l.rowsRead,
		"chdb_result_bytes_read":           &l.bytesRead,
		"chdb_result_rows_written":         &l.rowsWritten,
		"chdb_result_bytes_written":        &l.bytesWritten,
		"chdb_result_error":                &l.resultError,
		"chdb_destroy_query_result":        &l.freeResult,
		"chdb_stream_insert_n":             &l.insert,
		"chdb_stream_append":               &l.appendInsert,
		"chdb_stream_done":                 &l.doneInsert,
		"chdb_stream_insert_error":         &l.insertError,
		"chdb_destroy_insert_stream":       &l.freeInsert,
	}
	for name, function := range functions {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load engine library %q: it has no %s: %w", path, name, err)
		}
		purego.RegisterFunc(function, symbol)
	}
	return l, nil
}

// Result is what a statement gave.
type Result struct {
	// Data is the answer in the format asked for.
	Data []byte
	// RowsRead, BytesRead, RowsWritten and BytesWritten are the engine's own counts.
	RowsRead, BytesRead, RowsWritten, BytesWritten uint64
}

// Error is an exception of the engine: "Code: 60. DB::Exception: ...".
type Error struct{ Text string }

// Error implements error.
func (e *Error) Error() string { return e.Text }

// DB is a pool of connections to one data folder.
type DB struct {
	lib   *library
	idle  chan *Conn
	conns []*Conn
}

// Conn is one connection. It is used by one goroutine at a time.
type Conn struct {
	lib    *library
	handle unsafe.Pointer // chdb_connection*
	// Settings is the statement that undoes what the last borrower set; the pool runs it before the next use.
	undo string
	// database is the current one.
	database string
}

// Open loads the library and opens the data folder with a number of connections. Extra arguments are the engine's own.
func Open(libraryPath, dataDir string, connections int, args ...string) (*DB, error) {
	lib, err := load(libraryPath)
	if err != nil {
		return nil, err
	}
	lib.setSignalHandlers(0) // signals are Go's
	db := &DB{lib: lib, idle: make(chan *Conn, connections)}
	argv := append([]string{"clickhouse", "--path=" + dataDir}, args...)
	for range connections {
		handle := connect(lib, argv)
		if handle == nil {
			return nil, errors.Join(fmt.Errorf("open data folder %q: the engine refused; is it in use by another process?", dataDir), db.Close())
		}
		conn := &Conn{lib: lib, handle: handle, database: "default"}
		db.conns = append(db.conns, conn)
		db.idle <- conn
	}
	return db, nil
}

func connect(lib *library, args []string) unsafe.Pointer {
	texts := make([][]byte, len(args))
	argv := make([]unsafe.Pointer, len(args)+1)
	var pin runtime.Pinner
	defer pin.Unpin()
	for i, arg := range args {
		texts[i] = append([]byte(arg), 0)
		pin.Pin(&texts[i][0])
		argv[i] = unsafe.Pointer(&texts[i][0])
	}
	pin.Pin(&argv[0])
	return lib.connect(int32(len(args)), unsafe.Pointer(&argv[0]))
}

// Version returns the engine's version.
func (db *DB) Version() string { return db.lib.version() }

// Close waits for the connections in use and closes them all, which flushes what the engine holds.
func (db *DB) Close() error {
	for range db.conns {
		conn := <-db.idle
		db.lib.closeConn(conn.handle)
	}
	db.conns = nil
	return nil
}

// Borrow waits for a free connection, with the given database and settings in force. Give it back with Return.
func (db *DB) Borrow(ctx context.Context, database string, settings []Setting) (*Conn, error) {
	select {
	case conn := <-db.idle:
		if err := conn.prepare(database, settings); err != nil {
			db.Return(conn)
			return nil, err
		}
		return conn, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Return gives a connection back.
func (db *DB) Return(c *Conn) { db.idle <- c }

// Setting is a setting of the engine with its value as text.
type Setting struct{ Name, Value string }

func (c *Conn) prepare(database string, settings []Setting) error {
	if c.undo != "" {
		if _, err := c.Query(c.undo, "Null", nil); err != nil {
			return fmt.Errorf("reset settings: %w", err)
		}
		c.undo = ""
	}
	if database != "" && database != c.database {
		if _, err := c.Query("USE "+quoted(database, '`'), "Null", nil); err != nil {
			return err
		}
		c.database = database
	}
	if len(settings) == 0 {
		return nil
	}
	set, undo := make([]string, len(settings)), make([]string, len(settings))
	for i, s := range settings {
		set[i], undo[i] = s.Name+" = "+quoted(s.Value, '\''), s.Name+" = DEFAULT"
	}
	if _, err := c.Query("SET "+strings.Join(set, ", "), "Null", nil); err != nil {
		return err
	}
	c.undo = "SET " + strings.Join(undo, ", ")
	return nil
}

// quoted quotes a text for SQL.
func quoted(text string, quote byte) string {
	q := string(quote)
	return q + strings.NewReplacer(`\`, `\\`, q, `\`+q).Replace(text) + q
}

// Param is a query parameter, {Name:Type} in the statement.
type Param struct{ Name, Value string }

// Query runs a statement and answers in format, unless the statement names one itself. An error of the engine is an *Error.
func (c *Conn) Query(statement, format string, params []Param) (Result, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	names, nameLens := texts(&pin, params, func(p Param) string { return p.Name })
	values, valueLens := texts(&pin, params, func(p Param) string { return p.Value })
	q, f := bytesOf(&pin, statement), bytesOf(&pin, format)
	result := c.lib.query(*(*unsafe.Pointer)(c.handle), q, uint(len(statement)), f, uint(len(format)),
		names, nameLens, values, valueLens, uint(len(params)))
	return c.collect(result)
}

// texts makes the two C arrays of one side of the parameters: pointers and lengths.
func texts(pin *runtime.Pinner, params []Param, side func(Param) string) (pointers, lengths unsafe.Pointer) {
	if len(params) == 0 {
		return nil, nil
	}
	ps, ls := make([]unsafe.Pointer, len(params)), make([]uint, len(params))
	for i, p := range params {
		ps[i], ls[i] = bytesOf(pin, side(p)), uint(len(side(p)))
	}
	pin.Pin(&ps[0])
	pin.Pin(&ls[0])
	return unsafe.Pointer(&ps[0]), unsafe.Pointer(&ls[0])
}

// bytesOf returns a pinned, zero-terminated copy.
func bytesOf(pin *runtime.Pinner, text string) unsafe.Pointer {
	b := append([]byte(text), 0)
	pin.Pin(&b[0])
	return unsafe.Pointer(&b[0])
}

// collect copies a result out of the engine's memory and frees it.
func (c *Conn) collect(result unsafe.Pointer) (Result, error) {
	if result == nil {
		return Result{}, &Error{"Code: 1000. DB::Exception: the engine gave no result"}
	}
	defer c.lib.freeResult(result)
	if text := c.lib.resultError(result); text != "" {
		return Result{}, &Error{text}
	}
	data := unsafe.Slice((*byte)(c.lib.buffer(result)), c.lib.length(result))
	return Result{
		Data:     append([]byte(nil), data...),
		RowsRead: c.lib.rowsRead(result), BytesRead: c.lib.bytesRead(result),
		RowsWritten: c.lib.rowsWritten(result), BytesWritten: c.lib.bytesWritten(result),
	}, nil
}

// Insert runs an INSERT statement (without FORMAT) with all of its data. The engine starts on the data only when it has it
// all: a caller who fails half way has inserted nothing.
func (c *Conn) Insert(statement, format string, data []byte) (Result, error) {
	var pin runtime.Pinner
	defer pin.Unpin()
	stream := c.lib.insert(*(*unsafe.Pointer)(c.handle), bytesOf(&pin, statement), uint(len(statement)), bytesOf(&pin, format), uint(len(format)))
	defer c.lib.freeInsert(stream)
	if text := c.lib.insertError(stream); text != "" {
		return Result{}, &Error{text}
	}
	if len(data) > 0 {
		pin.Pin(&data[0])
		if c.lib.appendInsert(stream, unsafe.Pointer(&data[0]), uint(len(data))) != 0 {
			return Result{}, &Error{c.lib.insertError(stream)}
		}
	}
	return c.collect(c.lib.doneInsert(stream))
}
