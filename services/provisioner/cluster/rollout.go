package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

var pods = corev1.SchemeGroupVersion.WithResource("pods")

// waitForRollout returns when everything that the template made is ready, or says why it is not.
func (k *Kubernetes) waitForRollout(ctx context.Context, o backend.Order) error {
	bound, cancel := context.WithTimeoutCause(ctx, k.cfg.Rollout, fmt.Errorf("not within %s: %w", k.cfg.Rollout, backend.ErrUnready))
	defer cancel()
	waits := "nothing"
	for {
		left, err := k.rollout(bound, o)
		switch {
		case err == nil && left == "":
			return nil
		case err == nil:
			waits = left
		case errors.Is(err, backend.ErrUnready):
			return fmt.Errorf("%w%s", err, k.complaints(ctx, o))
		case err != nil && bound.Err() == nil:
			return err
		}
		if pause.For(bound, poll); bound.Err() != nil {
			return fmt.Errorf("%s: %w%s", waits, context.Cause(bound), k.complaints(ctx, o))
		}
	}
}

// rollout returns what is still waited for, empty when nothing is.
func (k *Kubernetes) rollout(ctx context.Context, o backend.Order) (waits string, err error) {
	objects, err := k.objects(o, stepWorkload)
	if err != nil {
		return "", err
	}
	for _, object := range objects {
		found, err := k.get(ctx, object)
		if err != nil {
			return "", err
		}
		if found == nil || !current(found, o) {
			return fmt.Sprintf("%s %q is not as it was made", object.GetKind(), object.GetName()), nil
		}
		if waits, err := unready(found); err != nil || waits != "" {
			return waits, err
		}
	}
	return "", nil
}

// unready returns what an object waits for, empty when it is ready. It means what Helm means by it; a Job is ready when it has
// succeeded.
func unready(object *unstructured.Unstructured) (waits string, err error) {
	is, err := status.Compute(object)
	if err != nil {
		return "", fmt.Errorf("read how %s %q is: %w", object.GetKind(), object.GetName(), err)
	}
	said := fmt.Sprintf("%s %q: %s", object.GetKind(), object.GetName(), is.Message)
	_, ended, _ := unstructured.NestedString(object.Object, "status", "completionTime")
	switch {
	case is.Status == status.FailedStatus:
		return "", fmt.Errorf("%s: %w", said, backend.ErrUnready)
	case is.Status != status.CurrentStatus, object.GetKind() == "Job" && !ended:
		return said, nil
	}
	return "", nil
}

// complaints returns why the containers of the namespace do not run, as the cluster says.
func (k *Kubernetes) complaints(ctx context.Context, o backend.Order) string {
	all, err := k.client.Resource(pods).Namespace(o.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "" // the caller has an error already
	}
	var said []string
	for i := range all.Items {
		var p corev1.Pod
		if runtime.DefaultUnstructuredConverter.FromUnstructured(all.Items[i].Object, &p) == nil {
			said = append(said, complaintsOf(&p)...)
		}
	}
	if len(said) == 0 {
		return ""
	}
	slices.Sort(said)
	return ": " + strings.Join(first(slices.Compact(said), 3), "; ")
}

func complaintsOf(p *corev1.Pod) (said []string) {
	for _, c := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		if w := c.State.Waiting; w != nil && w.Reason != "" && w.Reason != "ContainerCreating" {
			said = append(said, fmt.Sprintf("container %q: %s %s", c.Name, w.Reason, w.Message))
		}
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 {
			said = append(said, fmt.Sprintf("container %q: ended with code %d %s", c.Name, t.ExitCode, t.Reason))
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			said = append(said, fmt.Sprintf("pod %q: %s %s", p.Name, c.Reason, c.Message))
		}
	}
	return said
}

func first(texts []string, n int) []string { return texts[:min(n, len(texts))] }
