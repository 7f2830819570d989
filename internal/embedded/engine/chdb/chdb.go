// Package chdb binds the C API of libchdb, the ClickHouse engine as a library, without cgo.
//
// The library may be loaded once in a process, for one data folder, and keeps threads of its own: Fieldlog loads it only in
// a child process made for it.
//
//   - A [DB] may be used from any goroutine. It opens a [Conn] in some 60 µs: take one for each request and close it, and
//     nothing that a request sets can reach another.
//   - A [Conn], and what it returns, is used by one goroutine at a time; which one does not matter. A call keeps its operating
//     system thread while the engine works. The engine's own threads do the work, so a few callers are enough.
//   - A [Result] is the engine's memory until it is closed: copy what is to stay.
//   - [DB.Kill] ends the statements of a connection from another goroutine. Nothing else may touch a connection in use.
package chdb

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// DB is the engine with a data folder open.
type DB struct {
	lib    *library
	dir    string
	keeper unsafe.Pointer // the connection that keeps the engine open between requests
	preset []string

	mu     sync.RWMutex // held for reading while connections are opened
	closed bool
	open   sync.WaitGroup // connections but for the keeper
}

// ErrClosed is returned by Connect after Close.
var ErrClosed = errors.New("the engine is closed")

// Open loads the library and opens a data folder. Options are the engine's own server settings, "name=value".
func Open(libraryPath, dataDir string, options ...string) (*DB, error) {
	lib, err := load(libraryPath)
	if err != nil {
		return nil, err
	}
	lib.setSignalHandlers(0) // signals are Go's
	db := &DB{lib: lib, dir: dataDir}
	if db.keeper = db.connect(options...); db.keeper == nil {
		return nil, fmt.Errorf("open data folder %q: the engine refused; is it in use by another process, or an option of %q wrong?", dataDir, options)
	}
	return db, nil
}

// Preset gives every connection that is opened from now on settings, "name=value", which a statement may override. Call it before
// the first Connect.
func (db *DB) Preset(settings ...string) { db.preset = settings }

// connect opens a connection with arguments, nil if the engine refuses.
func (db *DB) connect(options ...string) unsafe.Pointer {
	var m memory
	defer m.release()
	args := []unsafe.Pointer{m.text("clickhouse"), m.text("--path=" + db.dir)}
	for _, option := range options {
		args = append(args, m.text("--"+option))
	}
	return db.lib.connect(int32(len(args)), m.pointers(append(args, nil)))
}

// Version returns the library's version.
func (db *DB) Version() string { return db.lib.version() }

// Connect opens a connection. Close it. The tag, letters and digits, is what Kill finds it by.
func (db *DB) Connect(tag string) (*Conn, error) {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if db.closed {
		return nil, ErrClosed
	}
	handle := db.connect(append([]string{"log_comment=" + tag}, db.preset...)...)
	if handle == nil {
		return nil, &Error{Text: "Code: 203. DB::Exception: the engine opened no connection. (NO_FREE_CONNECTION)"}
	}
	db.open.Add(1)
	return &Conn{db: db, lib: db.lib, handle: handle}, nil
}

// Kill asks the engine to end what runs on the connections with a tag; an empty tag is all connections. It does not wait.
func (db *DB) Kill(tag string) error {
	conn, err := db.Connect("")
	if err != nil {
		return err
	}
	defer conn.Close()
	result, err := conn.Query("KILL QUERY WHERE Settings['log_comment'] "+condition(tag)+" ASYNC", "Null", nil)
	if err != nil {
		return fmt.Errorf("kill statements of %q: %w", tag, err)
	}
	result.Close()
	return nil
}

func condition(tag string) string {
	if tag == "" {
		return "!= ''"
	}
	return "= " + Quote(tag, '\'')
}

// Close waits until every connection is closed, then stores what the engine holds and shuts it down. No connection can be
// opened any more once it was called. Threads of the library may live until the process ends.
func (db *DB) Close() error {
	db.mu.Lock()
	closed := db.closed
	db.closed = true
	db.mu.Unlock()
	if closed {
		return nil
	}
	db.open.Wait()
	db.lib.closeConn(db.keeper)
	return nil
}
