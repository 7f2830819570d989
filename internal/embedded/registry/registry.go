// Package registry runs a Confluent-compatible schema registry whose ids survive restarts: franz-go's srfake, made durable by a
// topic, with compatibility really checked. Any Confluent registry client can use it.
//
// # How a change is made
//
//  1. Changes take a lock one at a time; reads wait meanwhile, so that nobody sees what is not durable yet.
//  2. A new Avro schema is checked against the versions that its subject's compatibility level names.
//  3. The change is made in memory. Refused there: the answer goes back and nothing else happens.
//  4. The request and its answer are appended to the topic _schemas, confirmed by every in-sync replica. A crash before
//     this leaves nothing; the client was not answered.
//  5. The client is answered. A crash before this leaves the change made; asked again, the registry gives the same id.
//
// If step 4 fails, the memory is thrown away and read again from the topic before anything else is answered.
//
// On start the requests of the topic are made again in their order. Ids come out the same, because they depend on
// nothing else; each answer is compared with the one recorded, and a difference is an error that names the offset.
package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr/srfake"

	"github.com/fieldlog/fieldlog/internal/loopback"
)

// Config says where the registry listens and where its topic is.
type Config struct {
	// Addr is host:port; port 0 picks a free one.
	Addr string
	// Brokers are the Kafka brokers that hold the topic.
	Brokers []string
	// Logger gets warnings.
	Logger *slog.Logger
}

// Registry is a schema registry.
type Registry struct {
	cfg    Config
	server *http.Server
	addr   string
	served chan error

	mu      sync.RWMutex // held for writing by every change
	journal *journal
	memory  http.Handler // nil when it must be read again
}

// New returns a registry that Start starts.
func New(cfg Config) *Registry { return &Registry{cfg: cfg} }

// Start reads the topic and listens.
func (r *Registry) Start(ctx context.Context) error {
	var err error
	if r.journal, err = openJournal(ctx, r.cfg.Brokers); err != nil {
		return err
	}
	if err := r.load(ctx); err != nil {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for registry clients: %w; change --registry-listen", err)
	}
	r.addr = listener.Addr().String()
	r.server = &http.Server{Handler: loopback.Guard(listener, r), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second}
	r.served = make(chan error, 1)
	go func() { r.served <- r.server.Serve(listener) }()
	return nil
}

// Addr returns where the registry listens, after Start.
func (r *Registry) Addr() string { return r.addr }

// URL returns the registry's address, after Start.
func (r *Registry) URL() string { return "http://" + r.addr }

// Close lets requests finish and stops.
func (r *Registry) Close() error {
	var err error
	if r.server != nil {
		// A connection on which no request has come counts as busy for its first five seconds; it is cut off.
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if r.server.Shutdown(ctx) != nil {
			err = r.server.Close()
		}
		if served := <-r.served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
	}
	if r.journal != nil {
		r.journal.close()
	}
	return err
}

// load makes the memory from the topic. The caller holds the lock, or nobody else can know r yet.
func (r *Registry) load(ctx context.Context) error {
	memory := srfake.NewRegistry().Handler()
	err := r.journal.replay(ctx, func(c change) error {
		status, answer := perform(memory, c.Method, c.Path, c.Body)
		if status != c.Status || !sameJSON(answer, c.Answer) {
			return fmt.Errorf("%s %s gave %d %s, recorded is %d %s", c.Method, c.Path, status, answer, c.Status, c.Answer)
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.memory = memory
	return nil
}
