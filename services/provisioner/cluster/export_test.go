//go:build kubernetes

package cluster

import (
	"log/slog"

	"helm.sh/helm/v4/pkg/release/common"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// SetPending marks the newest release of a namespace as Helm does while it works on it.
func SetPending(kubeconfig, namespace string) error {
	h, err := NewHelm(Config{Kubeconfig: kubeconfig}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r, err := h.open(backend.Order{Namespace: namespace})
	if err != nil {
		return err
	}
	revisions, err := r.revisions()
	if err != nil {
		return err
	}
	last := revisions[0]
	last.Info.Status = common.StatusPendingUpgrade
	if len(revisions) == 1 {
		last.Info.Status = common.StatusPendingInstall
	}
	return r.helm.Releases.Update(last)
}
