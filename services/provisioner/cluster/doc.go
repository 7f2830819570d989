// Package cluster makes orders run in Kubernetes, in two ways: [Kubernetes] applies a product's template, [Helm] installs a
// product's chart. Both are backends (package backend) and keep its promises.
//
// # What is made
//
// Each order has a namespace of its own, labelled with its owner; what is in it belongs to the order. A namespace that somebody else
// made is never touched. Objects are written by server-side apply under the field manager "fieldlog": what others
// set in fields of their own stays.
//
// Everything carries
//
//	labels       app.business.client, fieldlog.dev/trace-id, app.kubernetes.io/managed-by=fieldlog
//	annotations  fieldlog.dev/client, fieldlog.dev/trace-id, fieldlog.dev/order, fieldlog.dev/version
//
// so the trace id of the click is on the namespace and on the pod.
//
// # Templates
//
// A template is a YAML file of objects, named after the product: Product-A.yaml. It is parsed first; then "${client}",
// "${namespace}", "${environment}", "${archtype}", "${hardware}", "${product}", "${order}", "${trace-id}" and
// "${parameter.NAME}" are replaced in its texts, so that no value can change the document's structure. Objects must be
// namespaced; their namespace is set. Nothing is rendered as text and nothing runs a shell.
//
// # Rights
//
// The provisioner needs: get, list, watch, create, patch, delete of namespaces; get, create, patch of resource quotas and of
// the kinds its templates use; get, list and watch of pods and deployments; for Helm also secrets, where Helm keeps its releases.
// deploy/kubernetes/rbac.yaml has it as a ClusterRole.
package cluster
