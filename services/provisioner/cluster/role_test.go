package cluster

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"
	"testing/fstest"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// TestTheRoleGrantsWhatTemplatesMayHave reads deploy/kubernetes/rbac.yaml.
func TestTheRoleGrantsWhatTemplatesMayHave(t *testing.T) {
	text, err := os.ReadFile("../../../deploy/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096).Decode(&role); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		for _, verb := range []string{"get", "list", "watch", "create", "update", "patch", "delete"} {
			if !slices.ContainsFunc(role.Rules, func(r rbacv1.PolicyRule) bool {
				return slices.Contains(r.APIGroups, k.group) && slices.Contains(r.Resources, k.resource) && slices.Contains(r.Verbs, verb)
			}) {
				t.Errorf("the role does not let the provisioner %s %s", verb, k.resource)
			}
		}
	}
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
