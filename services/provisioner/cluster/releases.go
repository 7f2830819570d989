package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/kube"
	"helm.sh/helm/v4/pkg/registry"
	releaser "helm.sh/helm/v4/pkg/release"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"

	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// releases works on the release of one namespace.
type releases struct {
	cfg  Config
	helm *action.Configuration
	oci  *registry.Client
	in   string
}

func (h *Helm) open(o backend.Order) (*releases, error) {
	flags := genericclioptions.NewConfigFlags(false)
	flags.KubeConfig, flags.Context, flags.Namespace = &h.cfg.Kubeconfig, &h.cfg.Context, &o.Namespace
	logger := h.logger.With("trace_id", o.TraceID, "client", o.Client, "order", o.ID) // for what Helm itself says
	helm := action.NewConfiguration(action.ConfigurationSetLogger(logger.Handler()))
	if err := helm.Init(flags, o.Namespace, "secret"); err != nil {
		return nil, fmt.Errorf("open the releases of %q: %w", o.Namespace, err)
	}
	oci, err := registry.NewClient(append(h.registry, registry.ClientOptWriter(io.Discard))...)
	if err != nil {
		return nil, fmt.Errorf("make a client for chart registries: %w", err)
	}
	helm.RegistryClient = oci
	if kube, ok := helm.KubeClient.(*kube.Client); ok {
		helm.KubeClient = client{kube}
	}
	return &releases{cfg: h.cfg, helm: helm, oci: oci, in: o.Namespace}, nil
}

// revisions returns what was released, newest first.
func (r *releases) revisions(ctx context.Context) ([]*release.Release, error) {
	found, err := within(ctx, func() ([]releaser.Releaser, error) { return r.helm.Releases.History(releaseName) })
	if errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at the releases of %q: %w", r.in, err)
	}
	var all []*release.Release
	for _, f := range found {
		if one, ok := f.(*release.Release); ok {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b *release.Release) int { return b.Version - a.Version })
	return all, nil
}

// settled returns the revisions once nobody works on the newest one any more, as far as can be told.
func (r *releases) settled(ctx context.Context) ([]*release.Release, error) {
	var last *release.Release // is worked on
	for {
		revisions, err := r.revisions(ctx)
		if ctx.Err() != nil && last != nil { // between two looks, or in the middle of one
			return nil, fmt.Errorf("the release in %q is %s for %s: %w: %w", r.in, last.Info.Status, since(last).Round(time.Second), backend.ErrUnready, ctx.Err())
		}
		if err != nil || len(revisions) == 0 || !pending(revisions[0]) || since(revisions[0]) >= r.cfg.Stale {
			return revisions, err
		}
		last = revisions[0]
		pause.For(ctx, poll)
	}
}

// pending tells whether a revision is marked as being worked on.
func pending(r *release.Release) bool {
	return r.Info.Status.IsPending() || r.Info.Status == common.StatusUninstalling
}

// since returns how long ago the last work on a revision began.
func since(r *release.Release) time.Duration {
	return min(time.Since(r.Info.LastDeployed), time.Since(r.Info.Deleted))
}

// bring installs or upgrades the release, whatever state it was left in.
func (r *releases) bring(ctx context.Context, revisions []*release.Release, product chart.Charter, o backend.Order) error {
	if len(revisions) == 0 {
		return r.install(ctx, product, o)
	}
	good := lastDeployed(revisions)
	if good == 0 {
		if err := r.uninstall(ctx); err != nil {
			return err
		}
		return r.install(ctx, product, o)
	}
	if pending(revisions[0]) {
		if err := r.rollback(ctx, good); err != nil {
			return err
		}
	}
	return r.upgrade(ctx, product, o)
}

// lastDeployed returns the newest revision that was deployed, 0 when none was.
func lastDeployed(revisions []*release.Release) int {
	for _, revision := range revisions {
		if s := revision.Info.Status; s == common.StatusDeployed || s == common.StatusSuperseded {
			return revision.Version
		}
	}
	return 0
}

func releaseLabels(o backend.Order) map[string]string {
	return map[string]string{releaseVersion: strconv.FormatInt(int64(o.Version), 10)}
}

func (r *releases) install(ctx context.Context, product chart.Charter, o backend.Order) error {
	return r.act(ctx, "install", func(waits []kube.WaitOption) error {
		do := action.NewInstall(r.helm)
		do.ReleaseName, do.Namespace, do.Labels = releaseName, r.in, releaseLabels(o)
		do.WaitStrategy, do.WaitForJobs, do.Timeout, do.WaitOptions = kube.StatusWatcherStrategy, true, r.cfg.Rollout, waits
		_, err := do.Run(product, values(o))
		return err
	})
}

func (r *releases) upgrade(ctx context.Context, product chart.Charter, o backend.Order) error {
	return r.act(ctx, "upgrade", func(waits []kube.WaitOption) error {
		do := action.NewUpgrade(r.helm)
		do.Namespace, do.Labels, do.ResetValues, do.MaxHistory = r.in, releaseLabels(o), true, 5
		do.WaitStrategy, do.WaitForJobs, do.Timeout, do.WaitOptions = kube.StatusWatcherStrategy, true, r.cfg.Rollout, waits
		_, err := do.Run(releaseName, product, values(o))
		return err
	})
}

func (r *releases) rollback(ctx context.Context, to int) error {
	return r.act(ctx, "roll back", func(waits []kube.WaitOption) error {
		do := action.NewRollback(r.helm)
		do.Version, do.MaxHistory = to, 5
		do.WaitStrategy, do.Timeout, do.WaitOptions = kube.HookOnlyStrategy, r.cfg.Rollout, waits
		return do.Run(releaseName)
	})
}

func (r *releases) uninstall(ctx context.Context) error {
	return r.act(ctx, "uninstall", func(waits []kube.WaitOption) error {
		do := action.NewUninstall(r.helm)
		do.IgnoreNotFound = true
		do.WaitStrategy, do.Timeout, do.WaitOptions = kube.HookOnlyStrategy, r.cfg.Rollout, waits
		_, err := do.Run(releaseName)
		return err
	})
}
