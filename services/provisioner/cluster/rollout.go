package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

var (
	deployments = appsv1.SchemeGroupVersion.WithResource("deployments")
	pods        = corev1.SchemeGroupVersion.WithResource("pods")
)

// waitForRollout returns when every deployment of the namespace runs its newest version, or says why it does not.
func (k *Kubernetes) waitForRollout(ctx context.Context, o backend.Order) error {
	bound, cancel := context.WithTimeoutCause(ctx, k.cfg.Rollout, fmt.Errorf("not within %s: %w", k.cfg.Rollout, backend.ErrUnready))
	defer cancel()
	for {
		waits, err := k.rollout(bound, o)
		if err == nil && waits == "" {
			return nil
		}
		if err != nil && (errors.Is(err, backend.ErrUnready) || bound.Err() == nil) {
			return err
		}
		if err := pause(bound, poll); err != nil {
			return fmt.Errorf("%s: %w%s", waits, err, k.complaints(context.WithoutCancel(ctx), o))
		}
	}
}

// rollout returns what is still waited for, empty when nothing is.
func (k *Kubernetes) rollout(ctx context.Context, o backend.Order) (waits string, err error) {
	all, err := list[appsv1.Deployment](ctx, k.client.Resource(deployments).Namespace(o.Namespace))
	if err != nil {
		return "", err
	}
	for _, d := range all {
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentProgressing && c.Status == corev1.ConditionFalse && d.Status.ObservedGeneration >= d.Generation {
				return "", fmt.Errorf("deployment %q: %w: %s%s", d.Name, backend.ErrUnready, c.Message, k.complaints(ctx, o))
			}
		}
		want := int32(1)
		if d.Spec.Replicas != nil {
			want = *d.Spec.Replicas
		}
		s := d.Status
		if s.ObservedGeneration < d.Generation || s.UpdatedReplicas < want || s.Replicas > s.UpdatedReplicas || s.AvailableReplicas < want {
			return fmt.Sprintf("deployment %q: %d of %d ready", d.Name, s.AvailableReplicas, want), nil
		}
	}
	return "", nil
}

// complaints returns why the containers of the namespace do not run, as the cluster says.
func (k *Kubernetes) complaints(ctx context.Context, o backend.Order) string {
	all, err := list[corev1.Pod](ctx, k.client.Resource(pods).Namespace(o.Namespace))
	if err != nil {
		return "" // the caller has an error already
	}
	var said []string
	for _, p := range all {
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
	}
	if len(said) == 0 {
		return ""
	}
	slices.Sort(said)
	return ": " + strings.Join(first(slices.Compact(said), 3), "; ")
}

// list returns the objects of a kind.
func list[T any](ctx context.Context, resource dynamic.ResourceInterface) ([]T, error) {
	found, err := resource.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	all := make([]T, len(found.Items))
	for i := range found.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Items[i].Object, &all[i]); err != nil {
			return nil, fmt.Errorf("read %s: %w", found.Items[i].GetName(), err)
		}
	}
	return all, nil
}

func first(texts []string, n int) []string { return texts[:min(n, len(texts))] }
