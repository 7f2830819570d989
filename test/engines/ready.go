package engines

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// readyEvery is the time between two looks at engines that are not ready.
const readyEvery = 200 * time.Millisecond

// Ready returns when every broker answers and sees all brokers, every replica of every partition is in sync, and the
// registry answers; or when ctx ends, with what was missing last. A process that does not run is an error at once.
func (c *Cluster) Ready(ctx context.Context) error {
	for _, p := range c.Processes() {
		if err := c.await(ctx, p); err != nil {
			return fmt.Errorf("wait for %s: %w", p.name, err)
		}
	}
	return nil
}

// await waits for one process.
func (c *Cluster) await(ctx context.Context, p *Process) error {
	var dead error
	err := poll(ctx, readyEvery, func() error {
		if dead = nil; !p.Running() {
			dead = errNotRunning
			return nil
		}
		look, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		return c.look(look, p)
	})
	return errors.Join(dead, err)
}

// look asks one process whether all is well.
func (c *Cluster) look(ctx context.Context, p *Process) error {
	if p == c.registry {
		return c.lookAtRegistry(ctx)
	}
	for n, b := range c.brokers {
		if p == &b.Process {
			return c.peers.look(ctx, n)
		}
	}
	return fmt.Errorf("%s is not of this cluster", p.name)
}

func (c *Cluster) lookAtRegistry(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/subjects", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s", resp.Status)
	}
	return nil
}

// peers asks brokers at the addresses they have for each other, past any proxy for clients.
type peers struct{ client *kgo.Client }

func newPeers(all []addresses) (*peers, error) {
	seeds := make([]string, len(all))
	for n, a := range all {
		seeds[n] = a.peer
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.RequestRetries(0), kgo.MetadataMinAge(readyEvery/2))
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return &peers{client}, nil
}

func (p *peers) close() { p.client.Close() }

// coordinate asks for the coordinators of a group and of a transaction, for which the brokers make the topics that these are kept
// in: otherwise the first test to need one would wait for that.
func (p *peers) coordinate(ctx context.Context) error {
	for _, kind := range []int8{0, 1} { // group, transaction
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorType, req.CoordinatorKeys = kind, []string{"engines"}
		err := poll(ctx, readyEvery, func() error {
			resp, err := p.client.SeedBrokers()[0].Request(ctx, req)
			if err != nil {
				return err
			}
			found := resp.(*kmsg.FindCoordinatorResponse)
			if len(found.Coordinators) != 1 {
				return fmt.Errorf("asked for a coordinator, the broker tells %d", len(found.Coordinators))
			}
			return kerr.ErrorForCode(found.Coordinators[0].ErrorCode)
		})
		if err != nil {
			return fmt.Errorf("find a coordinator: %w", err)
		}
	}
	return nil
}

// look asks a broker (from 0) for its own view of the cluster. A broker answers only once it has caught up with the controllers.
func (p *peers) look(ctx context.Context, n int) error {
	resp, err := p.client.SeedBrokers()[n].Request(ctx, kmsg.NewPtrMetadataRequest())
	if err != nil {
		return err
	}
	view := resp.(*kmsg.MetadataResponse)
	if len(view.Brokers) != brokers {
		return fmt.Errorf("it sees %d brokers of %d", len(view.Brokers), brokers)
	}
	for _, topic := range view.Topics {
		for _, partition := range topic.Partitions {
			if partition.ErrorCode != 0 || len(partition.ISR) != len(partition.Replicas) {
				return fmt.Errorf("partition %d of %s: in sync are %v of %v, error %d", partition.Partition, *topic.Topic, partition.ISR, partition.Replicas, partition.ErrorCode)
			}
		}
	}
	return nil
}
