//go:build kubernetes

package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster/clustertest"
)

// pending interrupts Helm in the middle of an install and of an upgrade, as a kill of its process would, a moment ago.
func pending(t *testing.T, p *place) {
	charts := open(t)
	o := backendtest.Order("cliente22", "pending")
	interrupt := func(o backend.Order) {
		t.Helper()
		o.Parameters = map[string]string{"image": clustertest.Pull}
		h := p.helm(t, cluster.Config{Charts: charts, Rollout: time.Second})
		for _, step := range h.Plan(o) {
			if err := h.Do(t.Context(), o, step); err == nil && step == "release" {
				t.Fatal("a module whose image cannot be pulled was released")
			}
		}
		if err := cluster.SetPending(t.Context(), p.HelmConfig, o.Namespace); err != nil {
			t.Fatal(err)
		}
	}
	recover := func(o backend.Order) {
		t.Helper()
		careful := p.helm(t, cluster.Config{Charts: charts, Stale: time.Hour})
		bound, cancel := context.WithTimeout(t.Context(), 10*time.Second) // the first look must come within it
		defer cancel()
		before := p.state(t)(o.Namespace)
		if err := careful.Do(bound, o, "release"); !errors.Is(err, backend.ErrUnready) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that the release is waited for until the time is up", err)
		}
		if after := p.state(t)(o.Namespace); after != before {
			t.Errorf("what somebody may be working on was\n%s\nand is\n%s", before, after)
		}
		h := p.helm(t, cluster.Config{Charts: charts, Stale: 5 * time.Second})
		for _, step := range h.Plan(o) {
			if err := h.Do(t.Context(), o, step); err != nil {
				t.Fatalf("%s: %v", step, err)
			}
		}
		if done, err := h.Done(t.Context(), o, "release"); !done || err != nil {
			t.Errorf("it is done: %v, %v", done, err)
		}
	}
	interrupt(o)
	recover(o)
	o.Version = 2
	interrupt(o)
	recover(o)
}

// edited returns a copy of a sample chart with texts in its files replaced: each "file", "from", "to".
func edited(t *testing.T, edits ...[3]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../../deploy/charts/product-a")); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		file := filepath.Join(dir, e[0])
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(e[1])) {
			t.Fatalf("%s has no %q", e[0], e[1])
		}
		if err := os.WriteFile(file, bytes.ReplaceAll(text, []byte(e[1]), []byte(e[2])), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return map[string]string{"Product-A": dir}
}

// slow is a chart whose workload takes some seconds to become ready.
func slow(t *testing.T) map[string]string {
	t.Helper()
	return edited(t, [3]string{"templates/deployment.yaml", "  progressDeadlineSeconds:", "  minReadySeconds: 5\n  progressDeadlineSeconds:"})
}

// open is a chart that lets an order choose the image, as no chart of anybody's should.
func open(t *testing.T) map[string]string {
	t.Helper()
	return edited(t,
		[3]string{"templates/deployment.yaml", ".Values.image |", "default .Values.image .Values.parameters.image |"},
		[3]string{"values.schema.json", `"properties": {}, `, `"properties": {"image": {"type": "string"}}, `})
}

// cutOff ends a call in the middle of an install, and of an upgrade. Helm's work goes on, and the next call finds it done.
func cutOff(t *testing.T, p *place) {
	h := p.helm(t, cluster.Config{Charts: slow(t)})
	o := backendtest.Order("cliente24", "cut-off")
	o.ID = "x_" // no label's value
	for o.Version = 1; o.Version <= 2; o.Version++ {
		if err := h.Do(t.Context(), o, "namespace"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Do(ctx, o, "release") }()
		p.waitForSecret(t, o.Namespace, "status in (pending-install,pending-upgrade)")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatalf("version %d: got %v, want that the call was cut off", o.Version, err)
		}
		if err := h.Do(t.Context(), o, "release"); err != nil {
			t.Fatalf("version %d: %v", o.Version, err)
		}
		all, err := p.Admin.CoreV1().Secrets(o.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
		if err != nil || len(all.Items) != int(o.Version) {
			t.Errorf("version %d: got %d revisions (%v), want that the one that was begun went on", o.Version, len(all.Items), err)
		}
		for _, s := range all.Items {
			if s.Labels["status"] == "failed" {
				t.Errorf("version %d: revision %s failed", o.Version, s.Labels["version"])
			}
		}
	}
}

// waitForSecret waits until one that is labelled so is there.
func (p *place) waitForSecret(t *testing.T, namespace, labels string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); pause.For(t.Context(), 50*time.Millisecond) {
		all, err := p.Admin.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: labels})
		if err != nil {
			t.Fatal(err)
		}
		if len(all.Items) > 0 {
			return
		}
	}
	t.Fatalf("no secret with %s came", labels)
}

// blamed tells the workload's faults and the order's from the cluster's.
func blamed(t *testing.T, p *place) {
	h := p.helm(t, cluster.Config{Charts: open(t), Rollout: 2 * time.Second})
	o := backendtest.Order("cliente25", "blamed")
	if err := h.Do(t.Context(), o, "namespace"); err != nil {
		t.Fatal(err)
	}
	misfit := o
	misfit.Environment = "Moon"
	var refusal *backend.Refusal
	if err := h.Do(t.Context(), misfit, "release"); !errors.As(err, &refusal) || refusal.Reason != backend.ReasonInvalid {
		t.Errorf("got %v, want that the schema refuses it", err)
	}
	for o.Version = 1; o.Version <= 2; o.Version++ { // an install, and another one after it
		o.Parameters = map[string]string{"image": clustertest.Pull}
		if err := h.Do(t.Context(), o, "release"); !errors.Is(err, backend.ErrUnready) || errors.As(err, &refusal) {
			t.Errorf("got %v, want that the workload is not ready", err)
		}
	}
}
