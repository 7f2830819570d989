package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/registry"
	"helm.sh/helm/v4/pkg/release/common"
	release "helm.sh/helm/v4/pkg/release/v1"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Helm installs a product's chart, one release a namespace, always under the same name.
//
// # A release that is pending
//
// Helm marks a release as pending while it works on it. If its process dies, the mark stays, and whoever tries again is
// refused for ever. What is done about it:
//
//  1. Pending for less than Config.Stale: somebody may be working on it. It is waited for, in the same try.
//  2. Pending for longer, and no revision was ever deployed: it is uninstalled, and installed anew.
//  3. Pending for longer, and an earlier revision was deployed: rolled back to that, then upgraded.
//  4. Failed without a revision that was ever deployed: as in 2. Failed with one: upgraded.
//
// # What is left behind
//
// Helm's calls don't end with a context, so a call that is cut off is left behind: it goes on until it is done, Config.Rollout at the
// longest and some requests, and the release is pending meanwhile. What comes then:
//
//  1. The process lives on: Helm marks the release as deployed or failed. The next try waits for that and begins nothing anew.
//  2. The process ends: the mark stays, as above.
//
// A process that is stopped for longer than Config.Stale in the middle of Helm's call, and wakes up after another one has gone on, still
// sends that call's requests: nothing fences them.
type Helm struct {
	cfg       Config
	logger    *slog.Logger
	namespace namespace
	registry  []registry.ClientOption // how chart registries are asked
}

// releaseName is that of every release: there is one in a namespace.
const releaseName = "module"

// releaseVersion is the label, which Helm keeps beside a release, that tells for which version of the order it was made.
const releaseVersion = "fieldlog-version"

// NewHelm returns a backend that has not connected to anything yet.
func NewHelm(cfg Config, logger *slog.Logger) (*Helm, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := cfg.dynamic()
	if err != nil {
		return nil, err
	}
	return &Helm{cfg: cfg, logger: logger, namespace: newNamespace(client)}, nil
}

// Name implements backend.Backend.
func (h *Helm) Name() string { return "helm" }

// Plan implements backend.Backend.
func (h *Helm) Plan(backend.Order) []string { return []string{stepNamespace, stepRelease} }

// Do implements backend.Backend.
func (h *Helm) Do(ctx context.Context, o backend.Order, step string) error {
	if step == stepNamespace {
		return h.namespace.ensure(ctx, o)
	}
	if err := h.namespace.enter(ctx, o); err != nil {
		return err
	}
	helm, err := h.open(o)
	if err != nil {
		return err
	}
	revisions, err := helm.settled(ctx)
	if err != nil {
		return err
	}
	if len(revisions) > 0 && deployed(revisions[0], o) {
		return nil
	}
	product, err := h.chart(ctx, helm, o)
	if err != nil {
		return err
	}
	if err := h.namespace.enter(ctx, o); err != nil { // a later version may have come meanwhile
		return err
	}
	return helm.bring(ctx, revisions, product, o)
}

// Done implements backend.Backend.
func (h *Helm) Done(ctx context.Context, o backend.Order, step string) (bool, error) {
	made, err := h.namespace.made(ctx, o)
	if err != nil || !made || step == stepNamespace {
		return made, err
	}
	helm, err := h.open(o)
	if err != nil {
		return false, err
	}
	revisions, err := helm.revisions(ctx)
	return err == nil && len(revisions) > 0 && deployed(revisions[0], o), err
}

// Remove implements backend.Backend. The release is uninstalled first, so that the chart's hooks run; the namespace's end takes
// what is left.
func (h *Helm) Remove(ctx context.Context, o backend.Order) error {
	found, err := h.namespace.find(ctx, o)
	var refusal *backend.Refusal
	if errors.As(err, &refusal) || err == nil && found == nil {
		return nil
	}
	if err != nil {
		return err
	}
	if found.GetDeletionTimestamp() == nil {
		helm, err := h.open(o)
		if err != nil {
			return err
		}
		if err := helm.uninstall(ctx); err != nil {
			return err
		}
	}
	return h.namespace.remove(ctx, o)
}

// deployed tells whether a revision stands and was made for this version of the order.
func deployed(r *release.Release, o backend.Order) bool {
	return r.Info.Status == common.StatusDeployed && r.Labels[releaseVersion] == strconv.FormatInt(int64(o.Version), 10)
}

// chart loads the product's chart from a folder, an archive or a registry, and checks that the order fits it.
func (h *Helm) chart(ctx context.Context, r *releases, o backend.Order) (chart.Charter, error) {
	reference := h.cfg.Charts[o.Product]
	if reference == "" {
		return nil, backend.Refuse(backend.ReasonNoTemplate, "there is no chart for product %q: see --charts", o.Product)
	}
	path, err := within(ctx, func() (string, error) {
		locate := action.NewInstall(r.helm)
		locate.SetRegistryClient(r.oci)
		return locate.LocateChart(reference, cli.New())
	})
	if err != nil {
		return nil, fmt.Errorf("find chart %q: %w", reference, err)
	}
	loaded, err := loader.Load(path)
	if err != nil {
		return nil, backend.Refuse(backend.ReasonNoTemplate, "load chart %q: %w", reference, err)
	}
	return loaded, fits(loaded, o)
}

// fits returns a Refusal when the order's values are not as the chart's schema wants them. Schemas of charts within it are left to
// Helm, whose error does not tell what is the matter.
func fits(product chart.Charter, o backend.Order) error {
	accessor, err := chart.NewAccessor(product)
	if err != nil || len(accessor.Schema()) == 0 {
		return err
	}
	all, err := util.CoalesceValues(product, values(o))
	if err != nil {
		return err
	}
	var misfit util.JSONSchemaValidationError
	if err := util.ValidateAgainstSingleSchema(all, accessor.Schema()); errors.As(err, &misfit) {
		return backend.Refuse(backend.ReasonInvalid, "chart %q: %w", accessor.Name(), err)
	}
	return nil
}

// values are what a chart gets of an order.
func values(o backend.Order) map[string]any {
	parameters := map[string]any{}
	for k, v := range o.Parameters {
		parameters[k] = v
	}
	return map[string]any{
		"client": o.Client, "environment": o.Environment, "archtype": o.Archtype, "hardware": o.Hardware,
		"product": o.Product, "order": o.ID, "traceId": o.TraceID, "parameters": parameters,
		"labels": generic(labels(o)), "annotations": generic(annotations(o)),
	}
}

func generic(m map[string]string) map[string]any {
	all := make(map[string]any, len(m))
	for k, v := range m {
		all[k] = v
	}
	return all
}
