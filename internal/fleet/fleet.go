// Package fleet simulates devices that report to a gateway over HTTP: believable signals of several clients' devices, with
// daily curves, drift, noise, faults, outages, and one device that misbehaves so that refusals are seen.
//
// Promises:
//
//   - What a device measures depends on the seed, the device and the time only.
//   - A device's reports are sent in order, over one connection (its history, if asked for, over another one); a report is sent again only while the gateway says that it
//     did not take it (429) or nothing listens there. What got no answer, or a 503, is counted and left alone: the log may have it.
//   - Latency is measured from when a report was due, not from when it was sent, so that a stall of the gateway counts for
//     every report it delays. Reports more than [Config.Behind] late are left out and counted.
//   - [Config.Acknowledged] is called after the gateway's answer and before the next report of the same device is sent.
//   - [Fleet.Run] returns once the requests under way are answered.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Config describes a fleet. The zero value of an optional field means its default.
type Config struct {
	// URL of the gateway, without a path. Required.
	URL string
	// Token is sent as a bearer token, if set.
	Token string
	// Devices is how many there are. Required.
	Devices int
	// Clients they belong to. Default one for every 50 devices, from 3 to 20.
	Clients int
	// Every is the time between two reports of a device. Default 2 s.
	Every time.Duration
	// Connections to the gateway. Default 2.
	Connections int
	// Seed makes another fleet. Default 1.
	Seed uint64
	// History is how far back the first reports go, one a device a minute, sent beside the others. Default none.
	History time.Duration
	// HistoryRate bounds the reports a second of the history. Default 5,000.
	HistoryRate int
	// Behind is how late a report may be sent. Default 30 s.
	Behind time.Duration
	// Timeout bounds a request. Default 15 s.
	Timeout time.Duration
	// Acknowledged is told of every report the gateway took, if set; one call a request, from several goroutines. Its error
	// ends the fleet.
	Acknowledged func([]Receipt) error
}

// Receipt is a report that the gateway acknowledged, and where it is in the log.
type Receipt struct {
	EventID   string `json:"event_id"`
	Client    string `json:"client"`
	Device    string `json:"device"`
	Readings  int    `json:"readings"`
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

func (c Config) withDefaults() Config {
	set(&c.Clients, min(max(c.Devices/50, 3), 20, max(c.Devices, 1)))
	set(&c.Every, 2*time.Second)
	set(&c.Connections, 2)
	set(&c.Seed, 1)
	set(&c.HistoryRate, 5000)
	set(&c.Behind, 30*time.Second)
	set(&c.Timeout, 15*time.Second)
	return c
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate says what is wrong.
func (c Config) Validate() error {
	switch u, err := url.Parse(c.URL); {
	case err != nil:
		return fmt.Errorf("read the gateway's URL %q: %w", c.URL, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("the gateway's URL %q is not of the form http://host:port", c.URL)
	case c.Devices < 1:
		return errors.New("a fleet has at least one device")
	case c.Every < 0 || c.Clients < 0 || c.Connections < 0 || c.History < 0 || c.HistoryRate < 0:
		return errors.New("a fleet's numbers are not negative")
	}
	return nil
}

// Fleet is a number of simulated devices.
type Fleet struct {
	cfg     Config
	logger  *slog.Logger
	metrics *metrics
	client  *http.Client
	devices []device
}

// New returns a fleet that has not sent anything yet.
func New(cfg Config, logger *slog.Logger, reg prometheus.Registerer) (*Fleet, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("simulate devices: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = cfg.Connections + 1
	transport.DisableCompression = true
	return &Fleet{
		cfg: cfg, logger: logger, metrics: newMetrics(reg),
		client:  &http.Client{Transport: transport, Timeout: cfg.Timeout},
		devices: devicesOf(cfg.Devices, cfg.Clients, cfg.Seed),
	}, nil
}

// Run sends reports until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	defer f.client.CloseIdleConnections()
	senders, ctx := errgroup.WithContext(ctx)
	begun := time.Now()
	for n := range min(f.cfg.Connections, len(f.devices)) {
		live := &sender{fleet: f, source: f.live(begun, n)}
		senders.Go(func() error { return live.run(ctx) })
	}
	if f.cfg.History > 0 {
		past := &sender{fleet: f, source: f.past(begun)}
		senders.Go(func() error { return past.run(ctx) })
	}
	if err := senders.Wait(); err != nil {
		return fmt.Errorf("simulate devices: %w", err)
	}
	return nil
}
