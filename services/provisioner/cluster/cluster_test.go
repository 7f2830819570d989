//go:build kubernetes

package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"

	"github.com/fieldlog/fieldlog/internal/pause"
	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster"
	"github.com/fieldlog/fieldlog/services/provisioner/cluster/clustertest"
)

// place is a control plane on which the provisioner has the rights of deploy/kubernetes/rbac.yaml, and with Helm those of rbac-helm.yaml
// too, and no others.
type place struct {
	*clustertest.Cluster
	objects dynamic.Interface
}

func start(t *testing.T) *place {
	t.Helper()
	c := clustertest.Start(t)
	objects, err := dynamic.NewForConfig(c.Config(t))
	if err != nil {
		t.Fatal(err)
	}
	p := &place{Cluster: c, objects: objects}
	p.grant(t, "rbac.yaml", clustertest.Provisioner, clustertest.Helm)
	p.grant(t, "rbac-helm.yaml", clustertest.Helm)
	for user, resource := range map[string]string{clustertest.Provisioner: "namespaces", clustertest.Helm: "secrets"} {
		c.WaitForRights(t, user, authorizationv1.ResourceAttributes{Verb: "create", Resource: resource})
	}
	c.WaitForRights(t, clustertest.Helm, authorizationv1.ResourceAttributes{Verb: "create", Resource: "namespaces"})
	return p
}

// grant gives users the rights of a file.
func (p *place) grant(t *testing.T, file string, users ...string) {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/kubernetes/" + file)
	if err != nil {
		t.Fatal(err)
	}
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var role rbacv1.ClusterRole
	var binding rbacv1.ClusterRoleBinding
	if err := errors.Join(documents.Decode(&role), documents.Decode(&binding)); err != nil {
		t.Fatal(err)
	}
	binding.Subjects = nil
	for _, user := range users {
		binding.Subjects = append(binding.Subjects, rbacv1.Subject{Kind: "User", Name: user, APIGroup: "rbac.authorization.k8s.io"})
	}
	if _, err := p.Admin.RbacV1().ClusterRoles().Create(t.Context(), &role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Admin.RbacV1().ClusterRoleBindings().Create(t.Context(), &binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// state tells what of ours is in a namespace, and how often it was written.
func (p *place) state(t *testing.T) func(string) string {
	return func(namespace string) string {
		found, err := p.objects.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).Get(t.Context(), namespace, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{fmt.Sprint("namespace ", found.GetLabels(), found.GetAnnotations())}
		for _, kind := range []schema.GroupVersionResource{
			{Group: "apps", Version: "v1", Resource: "deployments"}, {Version: "v1", Resource: "resourcequotas"}, {Version: "v1", Resource: "secrets"},
		} {
			all, err := p.objects.Resource(kind).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range all.Items {
				lines = append(lines, fmt.Sprint(kind.Resource, " ", o.GetName(), o.GetUID(), o.GetGeneration(), o.GetAnnotations(), o.GetLabels()))
			}
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
}

func (p *place) kubernetes(t *testing.T, cfg cluster.Config) *cluster.Kubernetes {
	t.Helper()
	cfg.Kubeconfig = p.ProvisionerConfig
	k, err := cluster.NewKubernetes(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (p *place) helm(t *testing.T, cfg cluster.Config) *cluster.Helm {
	t.Helper()
	cfg.Kubeconfig = p.HelmConfig
	if cfg.Charts == nil {
		cfg.Charts = map[string]string{"Product-A": "../../../deploy/charts/product-a", "Product-B": "../../../deploy/charts/product-b"}
	}
	h, err := cluster.NewHelm(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestOnOneCluster shares a control plane, whose start takes most of the time.
func TestOnOneCluster(t *testing.T) {
	p := start(t)
	t.Run("kubernetes", func(t *testing.T) { backendtest.Run(t, p.kubernetes(t, cluster.Config{}), p.state(t)) })
	t.Run("helm", func(t *testing.T) { backendtest.Run(t, p.helm(t, cluster.Config{}), p.state(t)) })
	t.Run("a replay asks for nothing", func(t *testing.T) { replayed(t, p) })
	t.Run("the trace is on the pod", func(t *testing.T) { traced(t, p) })
	t.Run("why a pod does not run is told", func(t *testing.T) { broken(t, p) })
	t.Run("a release that died half way is recovered", func(t *testing.T) { pending(t, p) })
	t.Run("a release that is cut off goes on", func(t *testing.T) { cutOff(t, p) })
	t.Run("a release says whose fault it is", func(t *testing.T) { blamed(t, p) })
	t.Run("what a version does not name any more is deleted", func(t *testing.T) { renamed(t, p) })
	t.Run("a version that is overtaken between two objects stops", func(t *testing.T) { interrupted(t, p) })
	t.Run("every kind of workload is waited for", func(t *testing.T) { waited(t, p) })
	t.Run("templates can't reach beyond their namespace", func(t *testing.T) { confined(t, p) })
	for _, request := range p.Forbidden(t) {
		t.Errorf("the role does not grant what was asked: %s", request)
	}
}

func traced(t *testing.T, p *place) {
	k := p.kubernetes(t, cluster.Config{})
	o := backendtest.Order("cliente20", "traced")
	for _, step := range k.Plan(o) {
		if err := k.Do(t.Context(), o, step); err != nil {
			t.Fatal(err)
		}
	}
	pods, err := p.Admin.CoreV1().Pods(o.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.business.client=" + o.Client})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("got %d pods of the client (%v), want 1", len(pods.Items), err)
	}
	namespace, err := p.Admin.CoreV1().Namespaces().Get(t.Context(), o.Namespace, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]metav1.ObjectMeta{"pod": pods.Items[0].ObjectMeta, "namespace": namespace.ObjectMeta} {
		if m.Annotations["fieldlog.dev/trace-id"] != o.TraceID || m.Annotations["fieldlog.dev/client"] != o.Client || m.Labels["fieldlog.dev/trace-id"] != o.TraceID {
			t.Errorf("%s has annotations %v and labels %v", what, m.Annotations, m.Labels)
		}
	}
	if env := pods.Items[0].Spec.Containers[0].Env; env[0].Value != o.Client {
		t.Errorf("the template's ${client} became %q", env[0].Value)
	}
}

func broken(t *testing.T, p *place) {
	f := func(namespace, image, want string) {
		t.Helper()
		text, err := fs.ReadFile(cluster.Templates(), "Product-A.yaml")
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte("registry.k8s.io/pause:3.10"), []byte(image))
		k := p.kubernetes(t, cluster.Config{Templates: fstest.MapFS{"Product-A.yaml": {Data: text}}, Rollout: time.Second})
		o := backendtest.Order("cliente21", namespace)
		for _, step := range k.Plan(o)[:3] {
			if err := k.Do(t.Context(), o, step); err != nil {
				t.Fatal(err)
			}
		}
		p.waitForPod(t, o.Namespace, want)
		err = k.Do(t.Context(), o, "rollout")
		var refusal *backend.Refusal
		if !errors.Is(err, backend.ErrUnready) || errors.As(err, &refusal) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want that the workload is not ready, and %s", image, err, want)
		}
		if done, err := k.Done(t.Context(), o, "rollout"); done || err != nil {
			t.Errorf("%s: the rollout is done: %v, %v", image, done, err)
		}
	}
	f("pull", clustertest.Pull, "ImagePullBackOff")
	f("crash", clustertest.Crash, "CrashLoopBackOff")
}

// waitForPod waits until a container of a namespace waits for a reason.
func (p *place) waitForPod(t *testing.T, namespace, reason string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); pause.For(t.Context(), 50*time.Millisecond) {
		pods, err := p.Admin.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods.Items {
			for _, c := range pod.Status.ContainerStatuses {
				if c.State.Waiting != nil && c.State.Waiting.Reason == reason {
					return
				}
			}
		}
	}
	t.Fatalf("no container in %s waits because of %s", namespace, reason)
}

func confined(t *testing.T, p *place) {
	f := func(template, reason string) {
		t.Helper()
		k := p.kubernetes(t, cluster.Config{Templates: fstest.MapFS{"Product-A.yaml": {Data: []byte(template)}}})
		o := backendtest.Order("cliente23", "confined")
		if err := k.Do(t.Context(), o, "namespace"); err != nil {
			t.Fatal(err)
		}
		var refusal *backend.Refusal
		if err := k.Do(t.Context(), o, "workload"); !errors.As(err, &refusal) || refusal.Reason != reason {
			t.Errorf("%q: got %v, want a refusal because of %s", template, err, reason)
		}
	}
	f("{apiVersion: v1, kind: Namespace, metadata: {name: another}}", backend.ReasonNoTemplate)
	f("{apiVersion: v1, kind: ConfigMap, metadata: {name: NOT A NAME}}", backend.ReasonInvalid)
	f("not: [yaml", backend.ReasonNoTemplate)
}
