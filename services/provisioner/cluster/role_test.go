package cluster

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// granted returns what a file of deploy/kubernetes lets the provisioner do, as "group/resource verb".
func granted(t *testing.T, file string) []string {
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
	if role.AggregationRule != nil || binding.RoleRef.Name != role.Name || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "fieldlog-provisioner" {
		t.Errorf("%s binds %v to %v", file, binding.RoleRef, binding.Subjects)
	}
	var all []string
	for _, rule := range role.Rules {
		if len(rule.ResourceNames)+len(rule.NonResourceURLs) > 0 {
			t.Errorf("%s has a rule of another kind: %v", file, rule)
		}
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, group+"/"+resource+" "+verb)
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestTheRolesGrantWhatIsUsedAndNoMore: every kind of a template, and for Helm its releases and what it watches.
func TestTheRolesGrantWhatIsUsedAndNoMore(t *testing.T) {
	f := func(file string, rights ...string) {
		t.Helper()
		var want []string
		for _, right := range rights {
			resource, verbs, _ := strings.Cut(right, ": ")
			for _, verb := range strings.Fields(verbs) {
				want = append(want, resource+" "+verb)
			}
		}
		slices.Sort(want)
		if got := granted(t, file); !slices.Equal(got, want) {
			t.Errorf("%s grants\n%q, want\n%q", file, got, want)
		}
	}
	made, watched := []string{}, []string{}
	for _, k := range kinds {
		made = append(made, k.group+"/"+k.resource+": get list create patch delete")
		watched = append(watched, k.group+"/"+k.resource+": watch")
	}
	f("rbac.yaml", append(made, "/namespaces: get create patch delete", "/pods: list")...)
	f("rbac-helm.yaml", append(watched, "/secrets: get list create update delete", "apps/replicasets: list")...)
}

func TestOtherKindsAreRefused(t *testing.T) {
	f := func(template string, refused bool) {
		t.Helper()
		_, err := render(fstest.MapFS{"P.yaml": {Data: []byte(template)}}, backend.Order{Product: "P", Namespace: "n"})
		var refusal *backend.Refusal
		if errors.As(err, &refusal) != refused || refused && refusal.Reason != backend.ReasonNoTemplate {
			t.Errorf("%s: got %v, want a refusal: %v", template, err, refused)
		}
	}
	f("{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a}}", false)
	f("{apiVersion: batch/v1, kind: Job, metadata: {name: a}}", false)
	f("{apiVersion: v1, kind: Job, metadata: {name: a}}", true)
	f("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a}}", true)
	f("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", true)
	f("{metadata: {name: a}}", true)
}

// TestWhatLabelsHold: no text of an order makes a label that the cluster refuses.
func TestWhatLabelsHold(t *testing.T) {
	f := func(id, trace string, labelled bool) {
		t.Helper()
		o := backend.Order{ID: id, Client: "c", TraceID: trace, Version: 1}
		for name, value := range merged(labels(o), releaseLabels(o)) {
			if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
				t.Errorf("order %q, trace %q: label %s is %q: %v", id, trace, name, value, wrong)
			}
		}
		if _, has := labels(o)[labelTrace]; has != labelled {
			t.Errorf("trace %q is a label: %v, want %v", trace, has, labelled)
		}
		if _, has := annotations(o)[annotationTrace]; has != (trace != "") {
			t.Errorf("trace %q is an annotation: %v", trace, has)
		}
	}
	f("order", "4bf92f3577b34da6a3ce929d0e0e4736", true)
	f("x_", "", false)
	f("-.-", "not a trace id", false)
	f("x_", "_", false)
}
