package cluster

import (
	"context"
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// Kubernetes applies a product's template, and deletes what earlier versions of the order made and this one does not name any more.
type Kubernetes struct {
	cfg       Config
	client    dynamic.Interface
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
	return &Kubernetes{cfg: cfg, client: client, namespace: newNamespace(client)}, nil
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
	if step == stepNamespace {
		return k.namespace.ensure(ctx, o)
	}
	if err := k.namespace.enter(ctx, o); err != nil {
		return err
	}
	if step == stepRollout {
		return k.waitForRollout(ctx, o)
	}
	objects, err := k.objects(o, step)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := k.apply(ctx, o, object); err != nil {
			return err
		}
	}
	return k.prune(ctx, o, step)
}

// Done implements backend.Backend.
func (k *Kubernetes) Done(ctx context.Context, o backend.Order, step string) (bool, error) {
	switch step {
	case stepNamespace:
		return k.namespace.made(ctx, o)
	case stepRollout:
		waits, err := k.rollout(ctx, o)
		if errors.Is(err, backend.ErrUnready) {
			return false, nil
		}
		return err == nil && waits == "", err
	}
	objects, err := k.objects(o, step)
	if err != nil {
		return false, err
	}
	for _, object := range objects {
		found, err := k.get(ctx, object)
		if err != nil || found == nil || !current(found, o) {
			return false, err
		}
	}
	old, err := k.older(ctx, o, step)
	return err == nil && len(old) == 0, err
}

// Remove implements backend.Backend.
func (k *Kubernetes) Remove(ctx context.Context, o backend.Order) error {
	return k.namespace.remove(ctx, o)
}

// objects returns those of a step.
func (k *Kubernetes) objects(o backend.Order, step string) ([]*unstructured.Unstructured, error) {
	all, err := render(k.cfg.Templates, o)
	if err != nil {
		return nil, err
	}
	var chosen []*unstructured.Unstructured
	for _, object := range all {
		if kind, _ := kindOf(object); kind.step == step {
			chosen = append(chosen, object)
		}
	}
	return chosen, nil
}

// resource returns the client of an object's kind, which is one that a template may have.
func (k *Kubernetes) resource(object *unstructured.Unstructured) dynamic.ResourceInterface {
	kind, _ := kindOf(object)
	return k.client.Resource(kind.of()).Namespace(object.GetNamespace())
}

// apply writes an object, unless a later version of the order has come meanwhile.
func (k *Kubernetes) apply(ctx context.Context, o backend.Order, object *unstructured.Unstructured) error {
	if err := k.namespace.enter(ctx, o); err != nil {
		return err
	}
	_, err := k.resource(object).Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return failed("apply "+object.GetKind(), object.GetName(), err)
}

// get returns an object as it is in the cluster, nil when it is not there.
func (k *Kubernetes) get(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	found, err := k.resource(object).Get(ctx, object.GetName(), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, failed("look at "+object.GetKind(), object.GetName(), err)
}

// older returns what earlier versions of the order made in a step and this one has not written: once its own objects are applied,
// that is what its template does not name any more.
func (k *Kubernetes) older(ctx context.Context, o backend.Order, step string) ([]*unstructured.Unstructured, error) {
	var old []*unstructured.Unstructured
	for _, kind := range kinds {
		if kind.step != step {
			continue
		}
		found, err := k.client.Resource(kind.of()).Namespace(o.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labelManagedBy + "=" + fieldManager})
		if err != nil {
			return nil, failed("list "+kind.resource+" in", o.Namespace, err)
		}
		for i := range found.Items {
			if object := &found.Items[i]; owns(object, o) && version(object) < o.Version && object.GetDeletionTimestamp() == nil {
				old = append(old, object)
			}
		}
	}
	return old, nil
}

// prune deletes what is older, as it was seen. What was written meanwhile is looked at again: it may not be older any more.
func (k *Kubernetes) prune(ctx context.Context, o backend.Order, step string) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		old, err := k.older(ctx, o, step)
		if err != nil {
			return err
		}
		for _, object := range old {
			if err := k.remove(ctx, object); err != nil {
				return err
			}
		}
		return nil
	})
}

func (k *Kubernetes) remove(ctx context.Context, object *unstructured.Unstructured) error {
	seen, background := object.GetResourceVersion(), metav1.DeletePropagationBackground
	err := k.resource(object).Delete(ctx, object.GetName(), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{ResourceVersion: &seen}, PropagationPolicy: &background,
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return failed("delete "+object.GetKind(), object.GetName(), err)
}
