package engines

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/fieldlog/fieldlog/internal/freeport"
)

// brokers is how many there are: the fewest that replicate three times.
const brokers = 3

// Options say how the engines run. The zero value will do.
type Options struct {
	// Dir gets the data and the logs of all processes; it must be empty or missing. StartTest makes one by itself.
	Dir string
	// Advertise, if set, returns the address that clients of a broker (from 0) are sent to instead of where it listens.
	Advertise func(broker int, listen string) string
	// AdvertisePeer, if set, does so for what the other brokers are sent to: replication passes there.
	AdvertisePeer func(broker int, listen string) string
	// Settings replace or add lines of every broker's server.properties.
	Settings map[string]string
}

// Cluster is the brokers and the registry.
type Cluster struct {
	brokers  []*broker
	registry *Process
	url      string
	peers    *peers
}

// Start brings the packages if they are missing, starts everything, and returns when it is ready. After an error nothing is
// left running.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	folder, err := Install(ctx)
	if err != nil {
		return nil, err
	}
	c, err := newCluster(ctx, packages(folder), o)
	if err != nil {
		return nil, err
	}
	if err := c.start(ctx, packages(folder)); err != nil {
		return nil, errors.Join(fmt.Errorf("%w\n%s", err, c.Logs(20)), c.Close())
	}
	return c, nil
}

func newCluster(ctx context.Context, p packages, o Options) (*Cluster, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder of the engines: %w", err)
	}
	ports, err := freeport.Addresses(ctx, 3*brokers+1)
	if err != nil {
		return nil, err
	}
	all := make([]addresses, brokers)
	for n := range all {
		own := ports[3*n:]
		all[n] = addresses{client: own[0], advertised: own[0], peer: own[1], peerAdvertised: own[1], controller: own[2]}
		if o.Advertise != nil {
			all[n].advertised = o.Advertise(n, own[0])
		}
		if o.AdvertisePeer != nil {
			all[n].peerAdvertised = o.AdvertisePeer(n, own[1])
		}
	}
	c := &Cluster{url: "http://" + ports[3*brokers] + registryPath}
	for n := range all {
		b, err := newBroker(p, dir, n, all, o.Settings)
		if err != nil {
			return nil, err
		}
		c.brokers = append(c.brokers, b)
	}
	if c.registry, err = newRegistry(p, dir, ports[3*brokers]); err != nil {
		return nil, err
	}
	c.peers, err = newPeers(all)
	return c, err
}

// start formats and starts everything side by side.
func (c *Cluster) start(ctx context.Context, p packages) error {
	var all errgroup.Group
	all.Go(c.registry.Start)
	for _, b := range c.brokers {
		all.Go(func() error {
			if err := b.format(ctx, p); err != nil {
				return err
			}
			return b.Start()
		})
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if err := c.Ready(ctx); err != nil {
		return err
	}
	if err := c.peers.coordinate(ctx); err != nil {
		return err
	}
	return c.Ready(ctx)
}

// Close kills every process and returns when all are gone. The folder stays.
func (c *Cluster) Close() error {
	processes := c.Processes()
	failures := make([]error, len(processes))
	for i, p := range processes {
		failures[i] = p.Kill()
	}
	c.peers.close()
	return errors.Join(failures...)
}

// Brokers returns the brokers' addresses for clients: the advertised ones.
func (c *Cluster) Brokers() []string {
	addrs := make([]string, len(c.brokers))
	for n, b := range c.brokers {
		addrs[n] = b.advertised
	}
	return addrs
}

// Registry returns the URL of the registry's Confluent API.
func (c *Cluster) Registry() string { return c.url }

// Broker returns the process of a broker, from 0.
func (c *Cluster) Broker(n int) *Process { return &c.brokers[n].Process }

// RegistryProcess returns the process of the registry.
func (c *Cluster) RegistryProcess() *Process { return c.registry }

// Processes returns every process, the brokers first.
func (c *Cluster) Processes() []*Process {
	var all []*Process
	for _, b := range c.brokers {
		all = append(all, &b.Process)
	}
	return append(all, c.registry)
}

// Logs returns the last lines of every process's log.
func (c *Cluster) Logs(lines int) string {
	text := ""
	for _, p := range c.Processes() {
		text += fmt.Sprintf("-- %s, the end of %s\n%s\n", p.name, p.log, p.LogTail(lines))
	}
	return text
}
