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
// so the trace id of the click is on the namespace and on the pod; where there is none, or none that a label may hold, it is left out.
//
// # Versions
//
// The namespace bears the version that was begun last, which never goes back. Before each thing that is written it is asked for, and
// a version that was overtaken is an error. A process that is stopped between the question and the request, and wakes up after a later
// version has gone on, still sends this one request. If that creates the namespace, and the order was removed meanwhile, an empty
// namespace comes back.
//
// # Templates
//
// A template is a YAML file of objects, named after the product: Product-A.yaml. It is parsed first; then "${client}",
// "${namespace}", "${environment}", "${archtype}", "${hardware}", "${product}", "${order}", "${trace-id}",
// "${version}" and "${parameter.NAME}" are replaced in its texts, so that no value can change the document's structure. Their namespace
// is set. They are of the kinds that the role grants (kinds.go): another one is refused, because an object that a later version does not
// name any more must be found again, and deleted. Nothing is rendered as text and nothing runs a shell.
//
// # Rights
//
// The provisioner needs: get, create, patch, delete of namespaces; get, list, create, patch, delete of every kind a template may have;
// list of pods. deploy/kubernetes/rbac.yaml has it as a ClusterRole, and nothing else. Helm needs besides the secrets where it keeps its
// releases, and to watch what its charts make: rbac-helm.yaml.
package cluster
