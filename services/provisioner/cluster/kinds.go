package cluster

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// kind is one of those that a template may have.
type kind struct {
	group, name, resource string
	step                  string // makes it
}

// kinds are all of them, in the order in which they are looked through. deploy/kubernetes/rbac.yaml grants them, and no others: what
// is of another kind could not be found again when a later version has it no more.
var kinds = []kind{
	{"", "ResourceQuota", "resourcequotas", stepQuota},
	{"", "LimitRange", "limitranges", stepQuota},
	{"", "ServiceAccount", "serviceaccounts", stepWorkload},
	{"", "ConfigMap", "configmaps", stepWorkload},
	{"", "PersistentVolumeClaim", "persistentvolumeclaims", stepWorkload},
	{"", "Service", "services", stepWorkload},
	{"apps", "Deployment", "deployments", stepWorkload},
	{"apps", "StatefulSet", "statefulsets", stepWorkload},
	{"batch", "Job", "jobs", stepWorkload},
}

// kindOf returns an object's kind, false when no template may have it.
func kindOf(object *unstructured.Unstructured) (kind, bool) {
	for _, k := range kinds {
		if object.GroupVersionKind() == k.of().GroupVersion().WithKind(k.name) {
			return k, true
		}
	}
	return kind{}, false
}

// of returns what the cluster calls the objects of a kind. All are of version 1.
func (k kind) of() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.group, Version: "v1", Resource: k.resource}
}
