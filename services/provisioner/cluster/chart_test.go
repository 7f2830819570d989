package cluster

import (
	"errors"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/engine"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
)

// TestAnOrderDoesNotChooseTheImage orders another image of the sample charts: the schema refuses it, and without the schema the chart's
// own image runs all the same.
func TestAnOrderDoesNotChooseTheImage(t *testing.T) {
	const foreign = "registry.example/not-ours:1"
	for _, name := range []string{"product-a", "product-b"} {
		product, err := loader.Load("../../../deploy/charts/" + name)
		if err != nil {
			t.Fatal(err)
		}
		o := backendtest.Order("cliente", "n")
		if err := fits(product, o); err != nil {
			t.Errorf("%s: an order as it should be: %v", name, err)
		}
		o.Parameters = map[string]string{"image": foreign}
		var refusal *backend.Refusal
		if err := fits(product, o); !errors.As(err, &refusal) || refusal.Reason != backend.ReasonInvalid {
			t.Errorf("%s: got %v, want a refusal of a parameter that the chart does not know", name, err)
		}
		all, err := util.ToRenderValuesWithSchemaValidation(product, values(o), common.ReleaseOptions{Name: releaseName}, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		files, err := engine.Render(product, all)
		if err != nil {
			t.Fatal(err)
		}
		text := files[name+"/templates/deployment.yaml"]
		if !strings.Contains(text, "image: ") || strings.Contains(text, foreign) {
			t.Errorf("%s: the order's image is in\n%s", name, text)
		}
	}
}
