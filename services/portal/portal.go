// Package portal is the web site: order a module, watch it become ready, see why it did not, and decide what happens next.
//
// Pages are made on the server (html/template) and work without script. With script, what is shown follows what happens, and
// there are charts. The portal keeps nothing: orders go through the gateway's HTTP interface, what it shows is read from there,
// from the log and from ClickHouse.
//
// # Promises
//
//   - It says that an order is accepted only when the registrar has decided so. A form that is sent twice orders once.
//   - The trace id of a click travels: it is on the request to the gateway, on every event that follows, and in the log line.
//   - A page that follows what happens shows the last change, or says that it may be old. Following a topic goes on behind the record
//     before its connection was lost.
//   - A page answers before the server cuts it off; that of a trace names what was not read in time.
//   - What comes from outside is escaped where it is shown. Nothing is loaded from anywhere else; scripts and styles are files of
//     its own, and pages run no other.
//   - A form that another site sends is refused. Off loopback nobody sees or does anything without a login; a viewer does nothing.
//   - Nothing is unbounded: bodies, sessions, attempts to log in, streams, what is read of the log, what is shown.
package portal

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"
)

// Portal answers people. Safe for concurrent use.
type Portal struct {
	cfg      Config
	sources  Sources
	api      *api
	logger   *slog.Logger
	metrics  *metrics
	users    map[string]User // nil where no login is asked for
	nobody   Hash            // what names that are not among them are compared with
	sessions *sessions
	attempts *attempts
	hashing  *semaphore.Weighted // passwords that are compared at a time
	streams  *semaphore.Weighted
	reads    *semaphore.Weighted // reads of the log under way
	pace     *pace
	assets   *assets
	pages    map[string]*template.Template
	handler  http.Handler
	serving  context.Context // ends when streams are to end
	drain    context.CancelFunc
	listener net.Listener
}

// New returns a portal that Run starts.
func New(cfg Config, sources Sources, logger *slog.Logger, reg prometheus.Registerer) (*Portal, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Portal{
		cfg: cfg, sources: sources, api: newAPI(cfg), logger: logger, metrics: newMetrics(reg),
		sessions: newSessions(cfg.SessionIdle, cfg.SessionAge, cfg.Sessions), attempts: newAttempts(),
		hashing: semaphore.NewWeighted(2), streams: semaphore.NewWeighted(cfg.Streams), reads: semaphore.NewWeighted(2),
		pace: &pace{},
	}
	var err error
	if cfg.Users != "" {
		if p.users, err = ReadUsers(cfg.Users); err != nil {
			return nil, err
		}
		p.nobody = nobody(p.users)
	}
	if p.assets, err = findAssets(); err != nil {
		return nil, err
	}
	if p.pages, err = parsePages(p.assets); err != nil {
		return nil, err
	}
	p.serving, p.drain = context.WithCancel(context.Background())
	p.handler = p.routes()
	return p, nil
}

// Listen opens the address, so that Addr is known before Run.
func (p *Portal) Listen(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen for people on %q: %w; change --portal-listen", p.cfg.Listen, err)
	}
	p.listener = netutil.LimitListener(listener, p.cfg.Connections)
	return nil
}

// Addr returns where the portal listens, after Listen.
func (p *Portal) Addr() string { return p.listener.Addr().String() }

// ServeHTTP implements http.Handler.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.handler.ServeHTTP(w, r) }

// Run answers until ctx ends, lets requests finish, and returns nil.
func (p *Portal) Run(ctx context.Context) error {
	if p.listener == nil {
		if err := p.Listen(ctx); err != nil {
			return err
		}
	}
	if missing := p.assets.missing(); missing != "" {
		p.logger.Warn("the portal has no script and no charts: this program was built without them; run make build", "missing", missing)
	}
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 20 * time.Second, WriteTimeout: pageTime + 10*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(p.logger.Handler(), slog.LevelDebug),
	}
	measuring, stop := context.WithCancel(ctx)
	defer stop()
	go p.measure(measuring)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(p.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	p.drain()
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		return errors.Join(fmt.Errorf("finish requests: %w", err), server.Close())
	}
	return nil
}
