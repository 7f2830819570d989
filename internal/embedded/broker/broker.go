// Package broker runs a Kafka-protocol broker inside this process, with its data on disk: franz-go's kfake, one broker, no
// replication. Any Kafka client can use it.
//
// Promises:
//
//   - A produce is acknowledged after its batch is written and synced to disk (kfake's SyncWrites); so is an offset commit.
//     Both survive a kill -9 of the process, topic ids, settings and producer state included: what an idempotent producer
//     sends again because of it is not appended twice, and a transaction is committed in all its partitions or aborted in all.
//   - Records are read from segment files; memory holds only the index of what was read lately.
//   - When the data folder's file system runs out of room, requests that would write are refused, before a write can fail half
//     way: produces first, with KAFKA_STORAGE_ERROR, which clients retry; offset commits and the like while there is room
//     for a quarter of that. They are taken again as soon as there is.
//
// Limits: one request at a time touches the log, so throughput is that of one core and one disk; everything is on one
// machine. Use Apache Kafka where either matters: nothing else changes.
package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config says where the broker listens and keeps its data.
type Config struct {
	// Addr is host:port; port 0 picks a free one.
	Addr string
	// Dir is the data folder. One process may use it at a time.
	Dir string
	// MinFree is the room in bytes that a produce must leave on Dir's file system, and a quarter of it is what other requests
	// must. Default 256 MiB.
	MinFree int64
	// Logger gets the broker's warnings.
	Logger *slog.Logger
}

// Broker is a Kafka-protocol broker.
type Broker struct {
	cfg     Config
	cluster *kfake.Cluster
	room    room
}

// New returns a broker that Start starts.
func New(cfg Config) *Broker {
	if cfg.MinFree == 0 {
		cfg.MinFree = 256 << 20
	}
	return &Broker{cfg: cfg, room: room{dir: cfg.Dir, min: cfg.MinFree, logger: cfg.Logger}}
}

// Start opens the data folder, whatever state a crash left it in, and listens.
func (b *Broker) Start() error {
	host, port, err := splitAddr(b.cfg.Addr)
	if err != nil {
		return err
	}
	if err := endTransactions(b.cfg.Dir); err != nil {
		return err
	}
	if err := restoreSequences(b.cfg.Dir); err != nil {
		return err
	}
	open := make(chan struct{})
	defer close(open)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.ClusterID("fieldlog-embedded"),
		kfake.DataDir(b.cfg.Dir),
		kfake.SyncWrites(),
		kfake.DefaultNumPartitions(1),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.WithLogger(logger{b.cfg.Logger}),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			listener, err := (&net.ListenConfig{}).Listen(context.Background(), network, net.JoinHostPort(host, port))
			return &gate{listener, open}, err
		}),
	)
	if err != nil {
		return fmt.Errorf("start broker on %q with data in %q: %w; change --kafka-listen if the address is taken", b.cfg.Addr, b.cfg.Dir, err)
	}
	b.cluster = cluster
	for _, key := range writing {
		cluster.ControlKey(int16(key), b.guard)
	}
	if err := os.Remove(filepath.Join(b.cfg.Dir, sequencesFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("start broker: %w", err)
	}
	return nil
}

// gate is a listener that lets nobody in before it is open.
type gate struct {
	net.Listener
	open <-chan struct{}
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	<-g.open
	return g.Listener.Accept()
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return "", 0, fmt.Errorf("read --kafka-listen %q: %w", addr, err)
	}
	return host, port, nil
}

// Addr returns where the broker listens, after Start.
func (b *Broker) Addr() string { return b.cluster.ListenAddrs()[0] }

// Close stops listening and saves what is only in memory.
func (b *Broker) Close() error {
	if b.cluster != nil {
		b.cluster.Close()
	}
	return nil
}

// logger passes the broker's warnings on, but for those about what a transaction takes.
type logger struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if strings.HasPrefix(format, "txn: EndTxn slow") { // over 5 ms, which syncing to disk takes
		return
	}
	if level == kfake.LogLevelError || level == kfake.LogLevelWarn {
		l.log.Warn("the broker complains", "message", fmt.Sprintf(format, args...))
	}
}
