package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/fieldlog/fieldlog/internal/embedded/engine/chdb"
)

// run gives the statement to the engine, on a connection of its own, and answers.
func (h *Handler) run(w http.ResponseWriter, r *http.Request, req *request, s *statement) error {
	free, err := h.wait(r.Context(), s)
	if err != nil {
		return err
	}
	defer free()
	tag := uuid.NewString()
	conn, err := h.engine.Connect(tag)
	if err != nil {
		return err
	}
	defer conn.Close()
	a := newAnswer(w, req, s, h.cfg.MaxResult)
	if err := h.prepare(conn, req, s, a.format); err != nil {
		return err
	}
	switch {
	case s.hasData:
		return h.insert(conn, req, s, a)
	case s.streams(a.format):
		defer h.killWhenGone(r.Context(), tag)()
		return h.stream(r.Context(), conn, req, s, a)
	}
	if s.first == "SELECT" || s.first == "WITH" && !s.inserts {
		defer h.killWhenGone(r.Context(), tag)()
	}
	return h.query(conn, req, s, a)
}

// wait takes a place among the statements that run. Inserts have places of their own, so that a dashboard cannot stop the log.
func (h *Handler) wait(ctx context.Context, s *statement) (free func(), err error) {
	places := h.queries
	if s.inserts {
		places = h.inserts
	}
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// killWhenGone ends the statements of a tag once the client has gone. The function it returns ends the watch.
func (h *Handler) killWhenGone(ctx context.Context, tag string) (done func() bool) {
	return context.AfterFunc(ctx, func() {
		if err := h.engine.Kill(tag); err != nil && !errors.Is(err, chdb.ErrClosed) {
			h.logger.Warn("failed to end the query of a client that has gone", "error", err)
		}
	})
}

// prepare puts database and settings into force.
func (h *Handler) prepare(conn *chdb.Conn, req *request, s *statement, format string) error {
	if req.database != "" && req.database != "default" {
		if err := conn.Exec("USE " + chdb.Quote(req.database, '`')); err != nil {
			return err
		}
	}
	var more []setting
	if !s.inserts && !s.streams(format) && !req.has("max_memory_usage") {
		more = append(more, setting{"max_memory_usage", fmt.Sprint(2 * h.cfg.MaxResult)})
	}
	if format == "Native" && req.revision > 0 && !req.has(jsonAsString) {
		more = append(more, setting{jsonAsString, "1"})
	}
	if set := req.prepare(more...); set != "" {
		return conn.Exec(set)
	}
	return nil
}

// jsonAsString is the form of the type JSON in Native whose length can be found, and that every client reads.
const jsonAsString = "output_format_native_write_json_as_string"

// insert gives the engine all of the data at once.
func (h *Handler) insert(conn *chdb.Conn, req *request, s *statement, a *answer) error {
	if req.readonly {
		return &failure{http.StatusInternalServerError, 164, "Cannot execute query in readonly mode; use POST. (READONLY)"}
	}
	result, err := conn.Insert(string(s.head), s.format, s.data, req.params)
	if err != nil {
		return err
	}
	defer result.Close()
	a.format = ""
	a.count(result)
	return a.end()
}

// query sends an answer that is held whole by the engine.
func (h *Handler) query(conn *chdb.Conn, req *request, s *statement, a *answer) error {
	result, err := conn.Query(string(s.text), a.format, req.params)
	if err != nil {
		return err
	}
	defer result.Close()
	if int64(len(result.Data)) > h.cfg.MaxResult {
		return errTooLong(h.cfg.MaxResult)
	}
	a.count(result)
	if err := a.add(result.Data); err != nil {
		return a.fail(err)
	}
	return a.end()
}

func errTooLong(limit int64) error {
	return &failure{http.StatusInternalServerError, 396, fmt.Sprintf("the answer has more than %d bytes; ask for a format like JSONEachRow or Native, without wait_end_of_query, to have it sent in pieces. (TOO_MANY_ROWS_OR_BYTES)", limit)}
}

// stream sends an answer piece by piece, each when the client has taken the one before.
func (h *Handler) stream(ctx context.Context, conn *chdb.Conn, req *request, s *statement, a *answer) error {
	pieces, err := conn.Stream(string(s.text), a.format, req.params)
	if err != nil {
		return err
	}
	defer pieces.Close()
	for ctx.Err() == nil {
		piece, err := pieces.Next()
		if errors.Is(err, io.EOF) {
			return a.end()
		}
		if err != nil {
			return a.fail(err)
		}
		a.count(piece)
		err = a.add(piece.Data)
		piece.Close()
		if err != nil {
			return a.fail(err)
		}
	}
	return a.fail(ctx.Err())
}

// plain takes the repetitions out of an exception's text: the library wraps an exception in itself.
func plain(text string) string {
	text = strings.TrimSpace(strings.TrimPrefix(text, "Error: "))
	for {
		prefix, rest, found := strings.Cut(text, "DB::Exception: ")
		if !found || !strings.HasPrefix(rest, prefix+"DB::Exception: ") {
			return text
		}
		text = rest
	}
}
