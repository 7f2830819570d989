package cluster

import (
	"fmt"
	"maps"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

// fieldManager is who we are to the cluster.
const fieldManager = "fieldlog"

// What everything carries.
const (
	labelClient       = "app.business.client"
	labelManagedBy    = "app.kubernetes.io/managed-by"
	labelTrace        = "fieldlog.dev/trace-id"
	annotationClient  = "fieldlog.dev/client"
	annotationTrace   = "fieldlog.dev/trace-id"
	annotationOrder   = "fieldlog.dev/order"
	annotationVersion = "fieldlog.dev/version"
)

// labels returns those of everything that is made. A trace id that is no label's value is left out; the annotation has it.
func labels(o backend.Order) map[string]string {
	all := map[string]string{labelClient: o.Client, labelManagedBy: fieldManager}
	if o.TraceID != "" && len(validation.IsValidLabelValue(o.TraceID)) == 0 {
		all[labelTrace] = o.TraceID
	}
	return all
}

func annotations(o backend.Order) map[string]string {
	all := map[string]string{
		annotationClient: o.Client, annotationOrder: o.ID, annotationVersion: strconv.FormatInt(int64(o.Version), 10),
	}
	if o.TraceID != "" {
		all[annotationTrace] = o.TraceID
	}
	return all
}

// mark puts our labels and annotations on an object, and on the pods it is a template of.
func mark(object *unstructured.Unstructured, o backend.Order) error {
	object.SetLabels(merged(object.GetLabels(), labels(o)))
	object.SetAnnotations(merged(object.GetAnnotations(), annotations(o)))
	for _, of := range []struct {
		field  string
		values map[string]string
	}{{"labels", labels(o)}, {"annotations", annotations(o)}} {
		template, found, err := unstructured.NestedMap(object.Object, "spec", "template")
		if err != nil || !found || template["spec"] == nil {
			return err
		}
		had, _, err := unstructured.NestedStringMap(template, "metadata", of.field)
		if err != nil {
			return err
		}
		if err := unstructured.SetNestedStringMap(object.Object, merged(had, of.values), "spec", "template", "metadata", of.field); err != nil {
			return err
		}
	}
	return nil
}

// merged returns both, as a map of its own; where both have a name, more wins.
func merged(had, more map[string]string) map[string]string {
	all := make(map[string]string, len(had)+len(more))
	maps.Copy(all, had)
	maps.Copy(all, more)
	return all
}

// owns tells whether an object was made for the order, by its annotations.
func owns(object *unstructured.Unstructured, o backend.Order) bool {
	a := object.GetAnnotations()
	return object.GetLabels()[labelManagedBy] == fieldManager && a[annotationClient] == o.Client && a[annotationOrder] == o.ID
}

// version returns the one an object was made for, 0 when it does not say.
func version(object *unstructured.Unstructured) int32 {
	n, err := strconv.ParseInt(object.GetAnnotations()[annotationVersion], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// current tells whether an object was made for this version of the order.
func current(object *unstructured.Unstructured, o backend.Order) bool {
	return owns(object, o) && version(object) == o.Version
}

// overtaken returns an error when an object was made for a later version of the order.
func overtaken(object *unstructured.Unstructured, o backend.Order) error {
	if latest := version(object); latest > o.Version {
		return fmt.Errorf("version %d of order %q is here already, not %d", latest, o.ID, o.Version)
	}
	return nil
}
