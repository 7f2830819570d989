package cluster

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
)

//go:embed templates
var files embed.FS

// Templates returns those that come with the program.
func Templates() fs.FS {
	sub, err := fs.Sub(files, "templates")
	if err != nil {
		return files // cannot be: the name is a constant that embed has checked
	}
	return sub
}

// render returns the objects of the order's product, with the order's values in their texts.
func render(templates fs.FS, o backend.Order) ([]*unstructured.Unstructured, error) {
	text, err := fs.ReadFile(templates, o.Product+".yaml")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, backend.Refuse(backend.ReasonNoTemplate, "there is no template for product %q", o.Product)
	}
	if err != nil {
		return nil, fmt.Errorf("read template of %q: %w", o.Product, err)
	}
	replacer := strings.NewReplacer(replacements(o)...)
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := documents.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, backend.Refuse(backend.ReasonNoTemplate, "template of %q: %w", o.Product, err)
		}
		if len(object.Object) == 0 {
			continue
		}
		if _, may := kindOf(object); !may {
			return nil, backend.Refuse(backend.ReasonNoTemplate, "template of %q: it may not have a %s", o.Product, object.GroupVersionKind())
		}
		object.Object = replaced(object.Object, replacer).(map[string]any)
		object.SetNamespace(o.Namespace)
		if err := mark(object, o); err != nil {
			return nil, backend.Refuse(backend.ReasonNoTemplate, "template of %q: %w", o.Product, err)
		}
		objects = append(objects, object)
	}
}

func replacements(o backend.Order) []string {
	pairs := make([]string, 0, 18+2*len(o.Parameters))
	pairs = append(pairs,
		"${client}", o.Client, "${namespace}", o.Namespace, "${environment}", o.Environment, "${archtype}", o.Archtype,
		"${hardware}", o.Hardware, "${product}", o.Product, "${order}", o.ID, "${trace-id}", o.TraceID,
		"${version}", strconv.FormatInt(int64(o.Version), 10),
	)
	for name, value := range o.Parameters {
		pairs = append(pairs, "${parameter."+name+"}", value)
	}
	return pairs
}

// replaced returns a value with the texts in it replaced; the names of fields stay.
func replaced(v any, r *strings.Replacer) any {
	switch v := v.(type) {
	case string:
		return r.Replace(v)
	case map[string]any:
		for k := range v {
			v[k] = replaced(v[k], r)
		}
	case []any:
		for i := range v {
			v[i] = replaced(v[i], r)
		}
	}
	return v
}
