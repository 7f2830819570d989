package portal

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/fieldlog/fieldlog/internal/clickhouse"
	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/internal/loopback"
	"github.com/fieldlog/fieldlog/internal/products"
	"github.com/fieldlog/fieldlog/internal/story"
)

// Config says how the portal is reached and what it may use. The zero value of every optional field means its default.
type Config struct {
	// Listen is the address. Default "127.0.0.1:8000".
	Listen string
	// Users is the file of those who may log in; required off loopback. Without it whoever reaches the portal is an operator.
	Users string
	// Gateway is the URL of the gateway, Token its access token if it wants one. Required.
	Gateway, Token string
	// Products is what the order form offers. Required.
	Products *products.Catalogue

	// SessionIdle and SessionAge end a session: unused, and at all. Default 30 m and 12 h.
	SessionIdle, SessionAge time.Duration
	// Sessions bounds those that are open. Default 10,000.
	Sessions int
	// Streams bounds the open streams of updates. Default 200.
	Streams int64
	// Connections bounds the open connections. Default 1024.
	Connections int
	// Wait is how long a form waits for the registrar's decision. Default 10 s.
	Wait time.Duration
}

func (c Config) withDefaults() Config {
	set(&c.Listen, "127.0.0.1:8000")
	set(&c.SessionIdle, 30*time.Minute)
	set(&c.SessionAge, 12*time.Hour)
	set(&c.Sessions, 10_000)
	set(&c.Streams, 200)
	set(&c.Connections, 1024)
	set(&c.Wait, 10*time.Second)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate names the flag to change.
func (c Config) Validate() error {
	c = c.withDefaults()
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--portal-listen %q is not host:port: %w", c.Listen, err)
	}
	if c.Users == "" && !loopback.Is(host) {
		return fmt.Errorf("--portal-listen %q is reachable from outside: name who may log in with --portal-users", c.Listen)
	}
	if at, err := url.Parse(c.Gateway); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return fmt.Errorf("--gateway %q is not a URL such as http://127.0.0.1:8080", c.Gateway)
	}
	switch {
	case c.Products == nil:
		return errors.New("the portal is not told what is sold")
	case c.SessionIdle < 0 || c.SessionAge < 0 || c.Wait < 0:
		return errors.New("--portal-session-idle and --portal-session-age are positive")
	case c.Wait > 30*time.Second:
		return errors.New("the portal waits at most 30 s for a decision")
	}
	return nil
}

// Sources is what the portal looks at beside the gateway.
type Sources struct {
	// Log tells how far topics and groups are.
	Log Log
	// Tables are the readings, and the orders as facts; nil where there are none.
	Tables Tables
	// Traces tells the stories of traces.
	Traces Traces
	// Letters are the dead letters.
	Letters Letters
	// Readers are the groups whose lag is shown.
	Readers []Reader
}

// Log is the log as far as the portal needs it. *eventlog.Log is one.
type Log interface {
	// Topics returns the declared topics beside what the brokers have.
	Topics(ctx context.Context) ([]eventlog.TopicStatus, error)
	// Progress returns how far a group has come in the partitions that it has committed.
	Progress(ctx context.Context, group eventlog.Group, topic eventlog.Topic) (map[eventlog.Partition]eventlog.Progress, error)
}

// Tables answers queries. *clickhouse.Client is one.
type Tables interface {
	// Query runs a query; arguments replace ? in it. Close the rows.
	Query(ctx context.Context, query string, args ...any) (clickhouse.Rows, error)
	// Scan reads the one row of a query.
	Scan(ctx context.Context, query string, targets ...any) error
	// Table returns a table's name with its database, quoted.
	Table(name string) string
}

// Traces tells the story of a trace. *story.Teller is one.
type Traces interface {
	// Tell returns what is known of a trace since a time, oldest first; what was found until a deadline of ctx, with a note.
	Tell(ctx context.Context, trace string, since time.Time) (*story.Story, error)
}

// Letters are the dead letters.
type Letters interface {
	// List returns at most so many letters in a state (open, redriven, discarded), in the order of their partitions.
	List(ctx context.Context, state string, most int) ([]Letter, error)
	// Redrive appends a letter's record to its topic again; Discard gives it up. Both return what became of it, and do it once,
	// however often they are asked.
	Redrive(ctx context.Context, id, by, why string) (Outcome, error)
	Discard(ctx context.Context, id, by, why string) (Outcome, error)
}

// Outcome is what became of a letter.
type Outcome struct {
	Done   bool
	Detail string
}

// Letter is a dead letter as it is shown.
type Letter struct {
	ID, At, Record, Key string
	Reason, Detail      string
	TraceID             string
	Written             time.Time
	Attempt             int32
	Size                int64
	Value               []byte // the beginning, a few hundred bytes
	State               string
}

// Reader is a group that reads a topic.
type Reader struct {
	Group eventlog.Group
	Topic eventlog.Topic
}
