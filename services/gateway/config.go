package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/fieldlog/fieldlog/internal/loopback"
	"github.com/fieldlog/fieldlog/projections/clients"
	"github.com/fieldlog/fieldlog/projections/duplicates"
	"github.com/fieldlog/fieldlog/services/gateway/jsonscan"
)

// Config says how the gateway listens and what it takes. The zero value of an optional field means its default.
type Config struct {
	// Listen is host:port. Default 127.0.0.1:8080. Off loopback a token is required.
	Listen string
	// Tokens are the access tokens, any of which a request must bring; none lets everybody in on this machine, on loopback only.
	Tokens []string
	// Host is this machine's name, given to reports that tell none.
	Host string

	// MaxBody bounds a request's body in bytes, before and after unpacking. Default 8 MiB.
	MaxBody int64
	// MaxInFlight bounds the bytes of all bodies under way. Default 256 MiB.
	MaxInFlight int64
	// MaxConnections bounds the open connections. Default 4096.
	MaxConnections int
	// MaxItems bounds the reports of a request. Default 10,000.
	MaxItems int
	// MaxReaders bounds the requests that read topics at the same time. Default 64.
	MaxReaders int
	// Heartbeat is the time between signs of life to a reader that follows. Default 15 s.
	Heartbeat time.Duration
	// Stall is how long a reader may take nothing before it is cut off. Default 1 min.
	Stall time.Duration

	// HeaderTimeout bounds the wait for a request's header, and for the first byte of its body. Default 10 s.
	HeaderTimeout time.Duration
	// MinRate is the rate in bytes per second below which a body counts as stalled. Default 1024.
	MinRate int64
	// Drain bounds the wait for requests under way when the gateway stops. Default 15 s.
	Drain time.Duration
	// ReceiptsEvery is the time between two receipts of what the log confirmed. Default 5 s.
	ReceiptsEvery time.Duration
	// LastReceipts bounds the writing of the last ones when the gateway stops. Default 3 s.
	LastReceipts time.Duration

	// Age bounds how long ago a reading may be, Future how far ahead of the gateway's clock. Defaults 10 years, 10 minutes.
	Age, Future time.Duration
	// Limits bound names, texts and counts; times come from Age and Future. Zero fields have defaults.
	Limits jsonscan.Limits
	// Strict refuses unknown fields.
	Strict bool

	// ClientTags and DeviceTags are the tags of the line protocol that name client and device, in order of preference.
	// Defaults client, tenant and device, device_id, host. Lines without a client tag belong to their bucket.
	ClientTags, DeviceTags []string

	// Retries say how far back a report that is sent again is recognised. All processes that share the log must have the same.
	Retries duplicates.Limits
	// RetryWait bounds how long an answer waits to learn whether a report is a retry. Default 1 s.
	RetryWait time.Duration
	// SilentRetries saves following the partitions that reports with ids of their own go to: answers then never say that a
	// report is a retry. It is stored once all the same.
	SilentRetries bool
	// Products is what may be ordered; without it nothing may be.
	Products clients.Products
	// Book knows the orders that were placed before. Without it the gateway leaves all to the registrar, and waits for nothing.
	Book Book

	// Ready tells whether everything the gateway stands for is ready; nil is always. Its error is shown on /readyz.
	Ready func(ctx context.Context) error
	// Now is the clock that reports are received by. Default time.Now. It may step: only the times of reports and how old or new
	// they may be follow it.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	set(&c.Listen, "127.0.0.1:8080")
	set(&c.MaxBody, 8<<20)
	set(&c.MaxInFlight, 256<<20)
	set(&c.MaxConnections, 4096)
	set(&c.MaxItems, 10_000)
	set(&c.MaxReaders, 64)
	set(&c.Heartbeat, 15*time.Second)
	set(&c.Stall, time.Minute)
	set(&c.HeaderTimeout, 10*time.Second)
	set(&c.MinRate, 1024)
	set(&c.Drain, 15*time.Second)
	set(&c.ReceiptsEvery, 5*time.Second)
	set(&c.LastReceipts, 3*time.Second)
	set(&c.RetryWait, time.Second)
	set(&c.Age, 10*365*24*time.Hour)
	set(&c.Future, 10*time.Minute)
	set(&c.Limits.Name, 128)
	set(&c.Limits.Unit, 32)
	set(&c.Limits.Text, 4096)
	set(&c.Limits.Labels, 32)
	set(&c.Limits.Label, 256)
	set(&c.Limits.Readings, 10_000)
	set(&c.Limits.Word, 128)
	if c.Products == nil {
		c.Products = func(string) ([]string, string, bool) { return nil, "", false }
	}
	c.Limits.Strict = c.Strict
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.ClientTags) == 0 {
		c.ClientTags = []string{"client", "tenant"}
	}
	if len(c.DeviceTags) == 0 {
		c.DeviceTags = []string{"device", "device_id", "host"}
	}
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
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("read --listen %q: %w", c.Listen, err)
	}
	if c.ReceiptsEvery < 0 {
		return errors.New("--receipts-every is positive")
	}
	for _, token := range c.Tokens {
		if len(token) < 16 {
			return errors.New("an access token is shorter than 16 characters: change --gateway-token or --gateway-token-file")
		}
	}
	if len(c.Tokens) == 0 && !loopback.Is(host) {
		return fmt.Errorf("--listen %q is open to other machines, which needs an access token: set --gateway-token-file (or FIELDLOG_GATEWAY_TOKEN_FILE), or listen on 127.0.0.1", c.Listen)
	}
	return c.Retries.Validate()
}
