package cluster

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
)

// TestANamespaceThatIsAwayIsNotTheClustersFault: one client's namespace that somebody deletes must not open everybody's breaker.
func TestANamespaceThatIsAwayIsNotTheClustersFault(t *testing.T) {
	o := backendtest.Order("cliente", "n")
	n := newNamespace(fake.NewSimpleDynamicClient(runtime.NewScheme()))
	if err := n.enter(t.Context(), o); !errors.Is(err, errGone) || !errors.Is(err, backend.ErrUnready) {
		t.Errorf("gone: got %v, want that the order is unready", err)
	}
	going := n.object(o)
	now := metav1.NewTime(time.Now())
	going.SetDeletionTimestamp(&now)
	n = newNamespace(fake.NewSimpleDynamicClient(runtime.NewScheme(), going))
	if err := n.ensure(t.Context(), o); !errors.Is(err, errTerminating) || !errors.Is(err, backend.ErrUnready) {
		t.Errorf("being deleted: got %v, want that the order is unready", err)
	}
}
