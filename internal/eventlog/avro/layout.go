package avro

import (
	"fmt"
	"reflect"

	"github.com/fieldlog/fieldlog/schemas"
)

var (
	valueType = reflect.TypeFor[schemas.Value]()
	labelType = reflect.TypeFor[schemas.Label]()
)

// target is a place in a Go struct.
type target struct {
	typ    reflect.Type
	offset uintptr
}

// targets returns the tagged fields of a struct type by Avro name, embedded structs flattened.
func targets(t reflect.Type) (map[string]target, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is not a struct", t)
	}
	found := map[string]target{}
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("avro"); name != "" {
			found[name] = target{typ: f.Type, offset: flatOffset(t, f.Index)}
		}
	}
	return found, nil
}

// flatOffset adds up the offsets along a path of embedded structs.
func flatOffset(t reflect.Type, path []int) uintptr {
	var offset uintptr
	for _, i := range path {
		f := t.Field(i)
		offset += f.Offset
		t = f.Type
	}
	return offset
}

// isLabels tells whether t is []schemas.Label, the Go form of a map of strings.
func isLabels(t reflect.Type) bool { return t.Kind() == reflect.Slice && t.Elem() == labelType }
