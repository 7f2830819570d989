package obs

import (
	"fmt"
	"io"
	"log/slog"
)

// The formats of a logger.
const (
	JSON = "json"
	Text = "text"
)

// NewLogger returns a logger that writes records of the level ("debug", "info", "warn", "error") and above to w, in a format.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level %q is not one of debug, info, warn, error", level)
	}
	switch format {
	case JSON:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least})), nil
	case Text:
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: shortTime})), nil
	}
	return nil, fmt.Errorf("--log-format %q is not one of json, text", format)
}

// shortTime leaves the date out: a person who reads along knows it.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.String(a.Key, a.Value.Time().Format("15:04:05.000"))
	}
	return a
}
