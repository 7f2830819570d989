//go:build kubernetes

package cluster

import (
	"context"
	"log/slog"
	"time"

	"helm.sh/helm/v4/pkg/release/common"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// SetPending marks the newest release of a namespace as Helm does when it begins to work on it, now.
func SetPending(ctx context.Context, kubeconfig, namespace string) error {
	h, err := NewHelm(Config{Kubeconfig: kubeconfig}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r, err := h.open(backend.Order{Namespace: namespace})
	if err != nil {
		return err
	}
	revisions, err := r.revisions(ctx)
	if err != nil {
		return err
	}
	last := revisions[0]
	last.Info.Status, last.Info.LastDeployed = common.StatusPendingUpgrade, time.Now()
	if len(revisions) == 1 {
		last.Info.Status = common.StatusPendingInstall
	}
	return r.helm.Releases.Update(last)
}

// AfterApply lets a function be called after each object that a backend has applied.
func AfterApply(k *Kubernetes, call func(name string)) { k.client = watched{k.client, call} }

// watched is a client whose writes are told of.
type watched struct {
	dynamic.Interface
	applied func(name string)
}

func (w watched) Resource(r schema.GroupVersionResource) dynamic.NamespaceableResourceInterface {
	return watchedKind{w.Interface.Resource(r), w.applied}
}

type watchedKind struct {
	dynamic.NamespaceableResourceInterface
	applied func(name string)
}

func (w watchedKind) Namespace(name string) dynamic.ResourceInterface {
	return watchedObjects{w.NamespaceableResourceInterface.Namespace(name), w.applied}
}

type watchedObjects struct {
	dynamic.ResourceInterface
	applied func(name string)
}

func (w watchedObjects) Apply(
	ctx context.Context, name string, object *unstructured.Unstructured, how metav1.ApplyOptions, sub ...string,
) (*unstructured.Unstructured, error) {
	made, err := w.ResourceInterface.Apply(ctx, name, object, how, sub...)
	w.applied(name)
	return made, err
}
