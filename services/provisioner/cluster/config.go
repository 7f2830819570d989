package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Config says which cluster, and what runs there. The zero value of an optional field means its default.
type Config struct {
	// Kubeconfig is a file; empty means the rights of the pod this runs in.
	Kubeconfig string
	// Context is a context of the file. Default: its current one.
	Context string
	// Templates hold a file a product, for Kubernetes. Default: those that come with the program.
	Templates fs.FS
	// Charts hold a chart a product, for Helm: product -> folder, archive, or oci:// reference with a version or a digest.
	Charts map[string]string
	// Rollout bounds the wait for a workload to become ready. Default 5 min.
	Rollout time.Duration
	// Stale is how long a Helm release may be pending before it counts as abandoned by a process that died. Default: Rollout + 1
	// min, which is longer than any operation of ours takes: all its waits together are bounded by Rollout. It is waited for, so it
	// must be shorter than the provisioner lets a try of a step take.
	Stale time.Duration
}

func (c Config) withDefaults() Config {
	if c.Templates == nil {
		c.Templates = Templates()
	}
	if c.Rollout == 0 {
		c.Rollout = 5 * time.Minute
	}
	if c.Stale == 0 {
		c.Stale = c.Rollout + time.Minute
	}
	return c
}

// Validate names the flag to change.
func (c Config) Validate() error {
	if c.Rollout < 0 || c.Stale < 0 {
		return errors.New("--kubernetes-rollout is positive")
	}
	for product, chart := range c.Charts {
		if strings.HasPrefix(chart, "oci://") && !pinned(chart) {
			return fmt.Errorf("settings.chart of product %q: %s names no version, such as %s:1.2.3: the newest may be another one at each try", product, chart, chart)
		}
	}
	return nil
}

// pinned tells whether a reference to a chart in a registry means the same chart at every try: it has a digest, or a whole version.
func pinned(reference string) bool {
	last := reference[strings.LastIndexByte(reference, '/')+1:]
	if _, digest, has := strings.Cut(last, "@"); has {
		return digest != ""
	}
	_, tag, _ := strings.Cut(last, ":")
	_, err := semver.StrictNewVersion(tag)
	return err == nil
}

// loader finds the cluster's address and our credentials.
func (c Config) loader() clientcmd.ClientConfig {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: c.Kubeconfig}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: c.Context})
}

func (c Config) rest() (*rest.Config, error) {
	cfg, err := c.loader().ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w; see --kubeconfig", err)
	}
	cfg.UserAgent = fieldManager
	cfg.QPS, cfg.Burst = 50, 100
	return cfg, nil
}

func (c Config) dynamic() (*dynamic.DynamicClient, error) {
	cfg, err := c.rest()
	if err != nil {
		return nil, err
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	return client, nil
}
