package cluster

import (
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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

func labels(o backend.Order) map[string]string {
	return map[string]string{labelClient: o.Client, labelManagedBy: fieldManager, labelTrace: o.TraceID}
}

func annotations(o backend.Order) map[string]string {
	return map[string]string{
		annotationClient: o.Client, annotationTrace: o.TraceID, annotationOrder: o.ID,
		annotationVersion: strconv.FormatInt(int64(o.Version), 10),
	}
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

func merged(had, more map[string]string) map[string]string {
	all := make(map[string]string, len(had)+len(more))
	for _, m := range []map[string]string{had, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// owns tells whether an object was made for the order, by its annotations.
func owns(object *unstructured.Unstructured, o backend.Order) bool {
	a := object.GetAnnotations()
	return object.GetLabels()[labelManagedBy] == fieldManager && a[annotationClient] == o.Client && a[annotationOrder] == o.ID
}

// current tells whether an object was made for this version of the order.
func current(object *unstructured.Unstructured, o backend.Order) bool {
	return owns(object, o) && object.GetAnnotations()[annotationVersion] == strconv.FormatInt(int64(o.Version), 10)
}
