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
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"
	"helm.sh/helm/v4/pkg/storage/driver"
	"k8s.io/cli-runtime/pkg/genericclioptions"

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
	helm := action.NewConfiguration(action.ConfigurationSetLogger(h.logger.Handler()))
	if err := helm.Init(flags, o.Namespace, "secret"); err != nil {
		return nil, fmt.Errorf("open the releases of %q: %w", o.Namespace, err)
	}
	oci, err := registry.NewClient(registry.ClientOptWriter(io.Discard))
	if err != nil {
		return nil, fmt.Errorf("make a client for chart registries: %w", err)
	}
	helm.RegistryClient = oci
	return &releases{cfg: h.cfg, helm: helm, oci: oci, in: o.Namespace}, nil
}

// revisions returns what was released, newest first.
func (r *releases) revisions() ([]*release.Release, error) {
	found, err := r.helm.Releases.History(releaseName)
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

// errPending says that an operation on the release is under way, or was a short while ago.
var errPending = errors.New("an operation on the release is under way")

// bring installs or upgrades the release, whatever state it was left in.
func (r *releases) bring(ctx context.Context, revisions []*release.Release, product chart.Charter, o backend.Order) error {
	if len(revisions) == 0 {
		return r.install(ctx, product, o)
	}
	last, good := revisions[0], lastDeployed(revisions)
	if pending := last.Info.Status.IsPending() || last.Info.Status == common.StatusUninstalling; pending {
		if since := time.Since(last.Info.LastDeployed); since < r.cfg.Stale {
			return fmt.Errorf("release in %q is %s for %s: %w", r.in, last.Info.Status, since.Round(time.Second), errPending)
		}
		if good > 0 {
			if err := r.rollback(good); err != nil {
				return err
			}
		}
	}
	if good == 0 {
		if err := r.uninstall(); err != nil {
			return err
		}
		return r.install(ctx, product, o)
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
	return map[string]string{releaseOrder: o.ID, releaseVersion: strconv.FormatInt(int64(o.Version), 10)}
}

func (r *releases) install(ctx context.Context, product chart.Charter, o backend.Order) error {
	do := action.NewInstall(r.helm)
	do.ReleaseName, do.Namespace, do.Labels = releaseName, r.in, releaseLabels(o)
	do.WaitStrategy, do.WaitForJobs, do.Timeout = kube.StatusWatcherStrategy, true, r.cfg.Rollout
	_, err := do.RunWithContext(ctx, product, values(o))
	return failed("install the release in", r.in, err)
}

func (r *releases) upgrade(ctx context.Context, product chart.Charter, o backend.Order) error {
	do := action.NewUpgrade(r.helm)
	do.Namespace, do.Labels, do.ResetValues, do.MaxHistory = r.in, releaseLabels(o), true, 5
	do.WaitStrategy, do.WaitForJobs, do.Timeout = kube.StatusWatcherStrategy, true, r.cfg.Rollout
	_, err := do.RunWithContext(ctx, releaseName, product, values(o))
	return failed("upgrade the release in", r.in, err)
}

func (r *releases) rollback(to int) error {
	do := action.NewRollback(r.helm)
	do.Version, do.Timeout, do.WaitStrategy, do.MaxHistory = to, r.cfg.Rollout, kube.HookOnlyStrategy, 5
	return failed("roll back the release in", r.in, do.Run(releaseName))
}

func (r *releases) uninstall() error {
	do := action.NewUninstall(r.helm)
	do.IgnoreNotFound, do.Timeout, do.WaitStrategy = true, r.cfg.Rollout, kube.HookOnlyStrategy
	_, err := do.Run(releaseName)
	return failed("uninstall the release in", r.in, err)
}
