package chdb

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// library holds the functions of libchdb. Lengths are explicit, so that texts may hold zero bytes.
type library struct {
	setSignalHandlers func(enabled int32)
	version           func() string
	connect           func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn         func(conn unsafe.Pointer)
	query             queryFunc
	stream            queryFunc
	fetch             func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancel            func(conn, stream unsafe.Pointer)
	buffer            func(result unsafe.Pointer) unsafe.Pointer
	length            func(result unsafe.Pointer) uint
	rows              func(result unsafe.Pointer) uint64
	rowsRead          func(result unsafe.Pointer) uint64
	bytesRead         func(result unsafe.Pointer) uint64
	rowsWritten       func(result unsafe.Pointer) uint64
	bytesWritten      func(result unsafe.Pointer) uint64
	resultError       func(result unsafe.Pointer) string
	freeResult        func(result unsafe.Pointer)
	insert            queryFunc
	appendInsert      func(stream, data unsafe.Pointer, n uint) int32
	doneInsert        func(stream unsafe.Pointer) unsafe.Pointer
	cancelInsert      func(stream unsafe.Pointer)
	insertError       func(stream unsafe.Pointer) string
	freeInsert        func(stream unsafe.Pointer)
}

// queryFunc is the common form of what takes a statement, a format and parameters.
type queryFunc func(conn, query unsafe.Pointer, queryLen uint, format unsafe.Pointer, formatLen uint,
	names, nameLens, values, valueLens unsafe.Pointer, params uint) unsafe.Pointer

func load(path string) (*library, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("load engine library %q: %w", path, err)
	}
	l := &library{}
	for name, function := range l.functions() {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load engine library %q: it has no %s: %w", path, name, err)
		}
		purego.RegisterFunc(function, symbol)
	}
	return l, nil
}

func (l *library) functions() map[string]any {
	return map[string]any{
		"chdb_set_signal_handlers_enabled": &l.setSignalHandlers,
		"chdb_version":                     &l.version,
		"chdb_connect":                     &l.connect,
		"chdb_close_conn":                  &l.closeConn,
		"chdb_query_with_params_n":         &l.query,
		"chdb_stream_query_with_params_n":  &l.stream,
		"chdb_stream_fetch_result":         &l.fetch,
		"chdb_stream_cancel_query":         &l.cancel,
		"chdb_result_buffer":               &l.buffer,
		"chdb_result_length":               &l.length,
		"chdb_result_rows_read":            &l.rows,
		"chdb_result_storage_rows_read":    &l.rowsRead,
		"chdb_result_storage_bytes_read":   &l.bytesRead,
		"chdb_result_rows_written":         &l.rowsWritten,
		"chdb_result_bytes_written":        &l.bytesWritten,
		"chdb_result_error":                &l.resultError,
		"chdb_destroy_query_result":        &l.freeResult,
		"chdb_stream_insert_with_params_n": &l.insert,
		"chdb_stream_append":               &l.appendInsert,
		"chdb_stream_done":                 &l.doneInsert,
		"chdb_stream_cancel_insert":        &l.cancelInsert,
		"chdb_stream_insert_error":         &l.insertError,
		"chdb_destroy_insert_stream":       &l.freeInsert,
	}
}
