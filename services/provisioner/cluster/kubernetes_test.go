//go:build kubernetes

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster/clustertest"
)

// templates returns those of two products that name their objects differently.
func templates(t *testing.T) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	for product, name := range map[string]string{"Product-A": "one", "Product-B": "two"} {
		text, err := fs.ReadFile(cluster.Templates(), product+".yaml")
		if err != nil {
			t.Fatal(err)
		}
		more := "\n---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: both}, data: {product: \"${product}\"}}\n"
		all[product+".yaml"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(string(text), "  name: module", "  name: "+name) + more)}
	}
	return all
}

func provision(t *testing.T, b backend.Backend, o backend.Order) {
	t.Helper()
	for _, step := range b.Plan(o) {
		if err := b.Do(t.Context(), o, step); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
}

// names returns what is of ours in a namespace.
func (p *place) names(t *testing.T, namespace string) []string {
	t.Helper()
	ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=fieldlog"}
	deployments, err := p.Admin.AppsV1().Deployments(namespace).List(t.Context(), ours)
	quotas, err2 := p.Admin.CoreV1().ResourceQuotas(namespace).List(t.Context(), ours)
	configs, err3 := p.Admin.CoreV1().ConfigMaps(namespace).List(t.Context(), ours)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, d := range deployments.Items {
		all = append(all, "deployment "+d.Name+" "+d.Annotations["fieldlog.dev/version"])
	}
	for _, q := range quotas.Items {
		all = append(all, "quota "+q.Name+" "+q.Annotations["fieldlog.dev/version"])
	}
	for _, c := range configs.Items {
		all = append(all, "config "+c.Name+" "+c.Annotations["fieldlog.dev/version"])
	}
	slices.Sort(all)
	return all
}

// renamed changes an order to a product with other names. What is another's in the namespace stays.
func renamed(t *testing.T, p *place) {
	k := p.kubernetes(t, cluster.Config{Templates: templates(t)})
	o := backendtest.Order("cliente26", "renamed")
	provision(t, k, o)
	foreign := map[string]string{"app.kubernetes.io/managed-by": "fieldlog"} // but for another order
	if _, err := p.Admin.CoreV1().ConfigMaps(o.Namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "foreign", Labels: foreign}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	o.Version, o.Product = 2, "Product-B"
	provision(t, k, o)
	want := []string{"config both 2", "config foreign ", "deployment two 2", "quota two 2"}
	if got := p.names(t, o.Namespace); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// interrupted stops version 1 after each of its objects until version 2 stands.
func interrupted(t *testing.T, p *place) {
	for _, after := range []string{"one", "both"} {
		zombie, k := p.kubernetes(t, cluster.Config{Templates: templates(t)}), p.kubernetes(t, cluster.Config{Templates: templates(t)})
		late := backendtest.Order("cliente27", "interrupted-"+after)
		o := late
		o.Version, o.Product = 2, "Product-B"
		for _, step := range []string{"namespace", "quota"} {
			if err := zombie.Do(t.Context(), late, step); err != nil {
				t.Fatal(err)
			}
		}
		cluster.AfterApply(zombie, func(name string) {
			if name == after {
				provision(t, k, o)
			}
		})
		err := zombie.Do(t.Context(), late, "workload")
		if after == "one" && err == nil {
			t.Error("version 1 went on after version 2 stood")
		}
		want := []string{"config both 2", "deployment two 2", "quota two 2"}
		if got := p.names(t, o.Namespace); !slices.Equal(got, want) {
			t.Errorf("stopped after %s: got %q, want %q", after, got, want)
		}
		if done, err := k.Done(t.Context(), o, "namespace"); !done || err != nil {
			t.Errorf("stopped after %s: the namespace is version 2's: %v, %v", after, done, err)
		}
	}
}

// waited gives an order a workload whose image does not run, and one that does.
func waited(t *testing.T, p *place) {
	const labels = "{app: module}"
	f := func(namespace, template, good string) {
		t.Helper()
		o := backendtest.Order("cliente28", namespace)
		for _, image := range []string{clustertest.Pull, good} {
			text := fmt.Sprintf(template, labels, labels, image)
			k := p.kubernetes(t, cluster.Config{Templates: fstest.MapFS{"Product-A.yaml": {Data: []byte(text)}}, Rollout: 3 * time.Second})
			if image == good {
				k = p.kubernetes(t, cluster.Config{Templates: fstest.MapFS{"Product-A.yaml": {Data: []byte(text)}}})
				o.Version = 2
			}
			for _, step := range k.Plan(o)[:3] {
				if err := k.Do(t.Context(), o, step); err != nil {
					t.Fatal(err)
				}
			}
			bound, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := k.Do(bound, o, "rollout")
			cancel()
			if image != good && !errors.Is(err, backend.ErrUnready) || image == good && err != nil {
				t.Errorf("%s with image %s: got %v", namespace, image, err)
			}
		}
	}
	f("a-set", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: \"set-${version}\"}, spec: {serviceName: set, selector: {matchLabels: %s}, "+
		"template: {metadata: {labels: %s}, spec: {containers: [{name: c, image: \"%s\"}]}}}}", "registry.k8s.io/pause:3.10")
	f("a-job", "{apiVersion: batch/v1, kind: Job, metadata: {name: \"job-${version}\", labels: %s}, spec: {"+
		"template: {metadata: {labels: %s}, spec: {restartPolicy: Never, containers: [{name: c, image: \"%s\"}]}}}}", clustertest.End)
}
