package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Kubernetes applies a product's template.
type Kubernetes struct {
	cfg       Config
	client    dynamic.Interface
	mapper    meta.ResettableRESTMapper
	namespace namespace
}

// NewKubernetes returns a backend that has not connected to anything yet.
func NewKubernetes(cfg Config) (*Kubernetes, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	client, err := cfg.dynamic()
	if err != nil {
		return nil, err
	}
	rest, err := cfg.rest()
	if err != nil {
		return nil, err
	}
	discoverer, err := discovery.NewDiscoveryClientForConfig(rest)
	if err != nil {
		return nil, fmt.Errorf("make a client of the cluster: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(discoverer))
	return &Kubernetes{cfg: cfg, client: client, mapper: mapper, namespace: newNamespace(client)}, nil
}

// The steps of a plan.
const (
	stepNamespace = "namespace"
	stepQuota     = "quota"
	stepWorkload  = "workload"
	stepRollout   = "rollout"
	stepRelease   = "release"
)

// Name implements backend.Backend.
func (k *Kubernetes) Name() string { return "kubernetes" }

// Plan implements backend.Backend.
func (k *Kubernetes) Plan(backend.Order) []string {
	return []string{stepNamespace, stepQuota, stepWorkload, stepRollout}
}

// Do implements backend.Backend.
func (k *Kubernetes) Do(ctx context.Context, o backend.Order, step string) error {
	switch step {
	case stepNamespace:
		return k.namespace.ensure(ctx, o)
	case stepRollout:
		return k.waitForRollout(ctx, o)
	}
	if _, err := k.namespace.find(ctx, o); err != nil { // nothing is put into what is somebody else's
		return err
	}
	objects, err := k.objects(o, step)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := k.apply(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// Done implements backend.Backend.
func (k *Kubernetes) Done(ctx context.Context, o backend.Order, step string) (bool, error) {
	switch step {
	case stepNamespace:
		return k.namespace.made(ctx, o)
	case stepRollout:
		if made, err := k.Done(ctx, o, stepWorkload); err != nil || !made {
			return false, err
		}
		wait, err := k.rollout(ctx, o)
		return wait == "", err
	}
	objects, err := k.objects(o, step)
	if err != nil {
		return false, err
	}
	for _, object := range objects {
		if there, err := k.there(ctx, object, o); err != nil || !there {
			return false, err
		}
	}
	return true, nil
}

// Remove implements backend.Backend.
func (k *Kubernetes) Remove(ctx context.Context, o backend.Order) error {
	return k.namespace.remove(ctx, o)
}

// objects returns those of a step: the quotas first, then everything else.
func (k *Kubernetes) objects(o backend.Order, step string) ([]*unstructured.Unstructured, error) {
	all, err := render(k.cfg.Templates, o)
	if err != nil {
		return nil, err
	}
	var chosen []*unstructured.Unstructured
	for _, object := range all {
		if kind := object.GetKind(); (kind == "ResourceQuota" || kind == "LimitRange") == (step == stepQuota) {
			chosen = append(chosen, object)
		}
	}
	return chosen, nil
}

// resource returns the client of an object's kind. One that belongs to no namespace is refused: it would outlive the order.
func (k *Kubernetes) resource(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := k.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		k.mapper.Reset() // the kind may be new
		return nil, fmt.Errorf("find kind %s: %w", kind, err)
	}
	if err != nil {
		return nil, fmt.Errorf("find kind %s: %w", kind, err)
	}
	if mapping.Scope.Name() != meta.RESTScopeNameNamespace {
		return nil, backend.Refuse(backend.ReasonNoTemplate, "%s %q belongs to no namespace", kind.Kind, object.GetName())
	}
	return k.client.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
}

func (k *Kubernetes) apply(ctx context.Context, object *unstructured.Unstructured) error {
	resource, err := k.resource(object)
	if err != nil {
		return err
	}
	_, err = resource.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return failed("apply "+object.GetKind(), object.GetName(), err)
}

func (k *Kubernetes) there(ctx context.Context, object *unstructured.Unstructured, o backend.Order) (bool, error) {
	resource, err := k.resource(object)
	if err != nil {
		return false, err
	}
	found, err := resource.Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, failed("look at "+object.GetKind(), object.GetName(), err)
	}
	return current(found, o), nil
}
