package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

var (
	// errTerminating says that the namespace of an order before this one is not gone yet.
	errTerminating = fmt.Errorf("%w: the namespace is being deleted", backend.ErrUnready)
	// errGone says that somebody has deleted the namespace after it was made. An operator's retry makes it anew.
	errGone = fmt.Errorf("%w: the namespace is not there", backend.ErrUnready)
)

// namespace makes, finds and removes an order's namespace.
type namespace struct {
	client dynamic.NamespaceableResourceInterface
}

func newNamespace(client dynamic.Interface) namespace { return namespace{client.Resource(namespaces)} }

// find returns the namespace, nil when there is none. A Refusal says that it is somebody else's.
func (n namespace) find(ctx context.Context, o backend.Order) (*unstructured.Unstructured, error) {
	found, err := n.client.Get(ctx, o.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, failed("look at namespace", o.Namespace, err)
	case !owns(found, o):
		return nil, backend.Refuse(backend.ReasonNamespaceTaken, "namespace %q belongs to somebody else", o.Namespace)
	}
	return found, nil
}

// enter returns nil when this version of the order may be made in the namespace. A version that was overtaken may not: whoever was
// stopped in the middle of it, and wakes up, is told so before the next thing it writes.
func (n namespace) enter(ctx context.Context, o backend.Order) error {
	found, err := n.find(ctx, o)
	if err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("enter namespace %q: %w", o.Namespace, errGone)
	}
	return overtaken(found, o)
}

// ensure makes the namespace, or brings its labels up to date. It is created rather than applied when it is not there, so
// that of two who want it only one gets it; and it is applied as it was seen, so that its version never goes back.
func (n namespace) ensure(ctx context.Context, o backend.Order) error {
	found, err := n.find(ctx, o)
	if err != nil {
		return err
	}
	object := n.object(o)
	if found == nil {
		_, err = n.client.Create(ctx, object, metav1.CreateOptions{FieldManager: fieldManager})
		return failed("create namespace", o.Namespace, err)
	}
	if found.GetDeletionTimestamp() != nil {
		return fmt.Errorf("make namespace %q: %w", o.Namespace, errTerminating)
	}
	if err := overtaken(found, o); err != nil || current(found, o) {
		return err
	}
	object.SetResourceVersion(found.GetResourceVersion())
	_, err = n.client.Apply(ctx, o.Namespace, object, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	return failed("apply namespace", o.Namespace, err)
}

func (n namespace) object(o backend.Order) *unstructured.Unstructured {
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	object.SetName(o.Namespace)
	object.SetLabels(labels(o))
	object.SetAnnotations(annotations(o))
	return object
}

// made tells whether the namespace is there for this version of the order.
func (n namespace) made(ctx context.Context, o backend.Order) (bool, error) {
	found, err := n.find(ctx, o)
	if err != nil || found == nil {
		return false, err
	}
	return found.GetDeletionTimestamp() == nil && current(found, o), nil
}

// remove deletes the namespace and all in it, and returns when it is gone. One that is somebody else's is left alone.
func (n namespace) remove(ctx context.Context, o backend.Order) error {
	for {
		found, err := n.find(ctx, o)
		var refusal *backend.Refusal
		if errors.As(err, &refusal) || err == nil && found == nil {
			return nil
		}
		if err != nil {
			return err
		}
		if found.GetDeletionTimestamp() == nil {
			uid := found.GetUID()
			err := n.client.Delete(ctx, o.Namespace, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return failed("delete namespace", o.Namespace, err)
			}
		}
		if pause.For(ctx, poll); ctx.Err() != nil {
			return failed("wait for the end of namespace", o.Namespace, ctx.Err())
		}
	}
}

// poll is the time between two looks at something that is changing.
const poll = 500 * time.Millisecond

// failed names what failed. What the cluster says will never do is a Refusal.
func failed(doing, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err):
		return &backend.Refusal{Reason: backend.ReasonInvalid, Err: fmt.Errorf("%s %q: %w", doing, name, err)}
	}
	return fmt.Errorf("%s %q: %w", doing, name, err)
}
