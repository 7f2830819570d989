//go:build kubernetes

package clustertest

import (
	"context"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// What an image's name asks of a simulated node; any other image runs.
const (
	// Pull is an image that cannot be pulled.
	Pull = "example.invalid/no-such-image:1"
	// Crash is an image whose container ends at once.
	Crash = "example.invalid/crash:1"
	// End is an image whose container does its work and ends well.
	End = "example.invalid/end:1"
)

// node plays a kubelet: it says that it is there, and what became of the pods it was given.
type node struct {
	client *kubernetes.Clientset
	name   string
}

func startNode(t testing.TB, client *kubernetes.Clientset, name string) {
	t.Helper()
	n := &node{client: client, name: name}
	if err := n.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (n *node) register(ctx context.Context) error {
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("256Gi"), corev1.ResourcePods: resource.MustParse("500"),
	}
	now := metav1.Now()
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Simulated", LastHeartbeatTime: now, LastTransitionTime: now}
	made, err := n.client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	made.Status = corev1.NodeStatus{Capacity: room, Allocatable: room, Conditions: []corev1.NodeCondition{ready}}
	if _, err = n.client.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return err
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: n.name, Namespace: corev1.NamespaceNodeLease}}
	lease.Spec = n.spec()
	_, err = n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Create(ctx, lease, metav1.CreateOptions{})
	return err
}

func (n *node) spec() coordinationv1.LeaseSpec {
	seconds, now := int32(40), metav1.NewMicroTime(time.Now())
	return coordinationv1.LeaseSpec{HolderIdentity: &n.name, LeaseDurationSeconds: &seconds, RenewTime: &now}
}

// run looks at the node's pods until ctx ends, as a kubelet would.
func (n *node) run(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	renewed := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if time.Since(renewed) > 5*time.Second {
			n.renew(ctx)
			renewed = time.Now()
		}
		pods, err := n.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.name, ResourceVersion: "0"})
		if err != nil {
			continue // asked again at the next tick
		}
		for i := range pods.Items {
			n.look(ctx, &pods.Items[i])
		}
	}
}

func (n *node) renew(ctx context.Context) {
	leases := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	lease, err := leases.Get(ctx, n.name, metav1.GetOptions{})
	if err != nil {
		return
	}
	lease.Spec = n.spec()
	_, _ = leases.Update(ctx, lease, metav1.UpdateOptions{}) // another try follows
}

// look brings a pod's status up to date; whatever fails is done at the next look.
func (n *node) look(ctx context.Context, p *corev1.Pod) {
	if p.DeletionTimestamp != nil {
		now := int64(0)
		_ = n.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		return
	}
	if len(p.Status.ContainerStatuses) > 0 {
		return
	}
	now := metav1.Now()
	p.Status.Phase, p.Status.StartTime, p.Status.HostIP, p.Status.PodIP = corev1.PodRunning, &now, "127.0.0.1", "10.1.0.1"
	ready := corev1.ConditionTrue
	for _, c := range p.Spec.Containers {
		status := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}}
		if why := fate(c.Image); why != nil {
			status.Ready, status.State, ready = false, corev1.ContainerState{Waiting: why}, corev1.ConditionFalse
			p.Status.Phase = corev1.PodPending
		}
		if c.Image == End {
			ended := &corev1.ContainerStateTerminated{Reason: "Completed", StartedAt: now, FinishedAt: now}
			status.Ready, status.State, ready = false, corev1.ContainerState{Terminated: ended}, corev1.ConditionFalse
			p.Status.Phase = corev1.PodSucceeded
		}
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, status)
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: ready, LastTransitionTime: now})
	}
	_, _ = n.client.CoreV1().Pods(p.Namespace).UpdateStatus(ctx, p, metav1.UpdateOptions{})
}

func fate(image string) *corev1.ContainerStateWaiting {
	switch {
	case strings.Contains(image, "no-such-image"):
		return &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "Back-off pulling image " + image}
	case strings.Contains(image, "crash"):
		return &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s restarting failed container"}
	}
	return nil
}
