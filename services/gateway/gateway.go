// Package gateway takes telemetry over HTTP, checks it, and appends it to the log.
//
// Promises:
//
//   - An answer of 2xx is sent only after every in-sync replica has what it calls accepted. A request that mixes good and bad
//     gets 207 with the index, field and reason of each refused item; nothing is half-accepted silently.
//   - The readings of one device in one report are one record. A JSON report is always one record of its own; lines of
//     InfluxDB's protocol with the same tags are one.
//   - A document that is broken (JSON that ends early, say) is refused whole, before anything is appended. In NDJSON only
//     the broken line is.
//   - Bad input harms nothing else. Bodies, readings, names, times, nesting, connections and the bytes under way are
//     bounded; what is over a bound gets 4xx, what is too much for now 429 with Retry-After, a log that does not
//     confirm 503 with Retry-After. After a 503 the reports may or may not be in the log: send them again with the same
//     event_id.
//   - What the log confirmed is counted, offset by offset, and written down as events on topic receipts every few seconds and
//     when the gateway ends, for the audit.
//   - A report with an event_id of its sender's own, or in a request with an Idempotency-Key, may be sent again: it is
//     stored once, and the answer says that it was there already if that is known in time. Reports without cost nothing.
//   - Nothing is logged or allocated per reading.
//   - CloudEvents of any type whose Avro schema is registered beforehand are taken under the same promises, and every topic can be
//     read as JSON. A named group goes on behind what it has acknowledged: a record may be read again, none is skipped.
//   - A page of another site that a browser shows changes nothing here. Without access tokens it reads nothing either, under whatever name.
//   - Readers are bounded in number and memory. One that takes nothing for a minute is cut off; none holds up the end of the gateway.
//
// JSON reports on POST /v1/telemetry, InfluxDB's line protocol on POST /api/v2/write and /write, CloudEvents on POST /v1/events,
// records on GET /v1/topics/{topic}/events; /openapi.json has the rest.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"

	"github.com/fieldlog/fieldlog/internal/eventlog"
	"github.com/fieldlog/fieldlog/schemas"
)

// Log is what the gateway needs of the log. *eventlog.Log is one.
type Log interface {
	// NewBatch returns an empty batch; what Commit confirms is durable and in order.
	NewBatch() *eventlog.Batch
	// TopicIDs returns the ids of those topics that exist.
	TopicIDs(ctx context.Context, topics ...eventlog.Topic) (map[eventlog.Topic]eventlog.TopicID, error)
	Followable
	// HasVersion tells whether a subject has a schema.
	HasVersion(ctx context.Context, subject schemas.Subject, v eventlog.Version) error
	Readable
	Places
}

// Gateway answers HTTP requests.
type Gateway struct {
	cfg      Config
	log      Log
	logger   *slog.Logger
	metrics  *metrics
	gatherer prometheus.Gatherer
	tokens   [][32]byte
	flight   *semaphore.Weighted // bytes of bodies under way
	work     sync.Pool           // *work
	readers  *semaphore.Weighted // requests that read topics
	reading  context.Context     // ends when readers are to go
	endReads context.CancelFunc
	receipts *receipts
	retries  *retries
	mux      *http.ServeMux
	origins  *http.CrossOriginProtection
	routes   []string
	listener net.Listener
}

// New returns a gateway that Run starts. gatherer is what /metrics shows.
func New(cfg Config, log Log, logger *slog.Logger, reg prometheus.Registerer, gatherer prometheus.Gatherer) (*Gateway, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg: cfg, log: log, logger: logger, metrics: newMetrics(reg), gatherer: gatherer,
		tokens: hashed(cfg.Tokens), flight: semaphore.NewWeighted(cfg.MaxInFlight), mux: http.NewServeMux(),
		origins: http.NewCrossOriginProtection(),
	}
	g.receipts = newReceipts(cfg, log, logger, g.metrics)
	g.retries = &retries{log: log, limits: cfg.Retries.WithDefaults(), logger: logger}
	g.metrics.watch(reg, g.retries)
	g.readers = semaphore.NewWeighted(int64(cfg.MaxReaders))
	g.reading, g.endReads = context.WithCancel(context.Background())
	g.work.New = func() any { return &work{} }
	g.handle()
	return g, nil
}

// Listen opens the address, so that Addr is known before Run.
func (g *Gateway) Listen(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", g.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for devices on %q: %w; change --listen", g.cfg.Listen, err)
	}
	g.listener = netutil.LimitListener(listener, g.cfg.MaxConnections)
	return nil
}

// Addr returns where the gateway listens, after Listen.
func (g *Gateway) Addr() string { return g.listener.Addr().String() }

// ServeHTTP implements http.Handler. What it takes counts in receipts once Run has begun.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if foreign := g.foreign(r); foreign != nil {
		g.unread(w)
		foreign.write(w)
		return
	}
	g.mux.ServeHTTP(w, r)
}

// Run answers requests until ctx ends, then takes no new connections, lets requests finish within the drain time, writes down
// the last receipts and returns nil.
func (g *Gateway) Run(ctx context.Context) error {
	if g.listener == nil {
		if err := g.Listen(ctx); err != nil {
			return err
		}
	}
	server := &http.Server{
		Handler:           g,
		ReadHeaderTimeout: g.cfg.HeaderTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(g.logger.Handler(), slog.LevelDebug),
	}
	g.receipts.identify(ctx)
	serving, served := context.WithCancel(context.WithoutCancel(ctx)) // until the last request is answered
	var beside sync.WaitGroup
	beside.Go(func() { g.receipts.run(serving) })
	beside.Go(g.follow(serving)) // before the first request, which may be a retry already
	defer func() { served(); beside.Wait() }()
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(g.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	g.endReads()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.cfg.Drain)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return errors.Join(fmt.Errorf("finish requests: %w", err), server.Close())
	}
	return nil
}

// follow lets answers say which reports are retries from now on, and returns what works for it until ctx ends.
func (g *Gateway) follow(ctx context.Context) (work func()) {
	if g.cfg.SilentRetries {
		return func() {}
	}
	return g.retries.open(ctx)
}
