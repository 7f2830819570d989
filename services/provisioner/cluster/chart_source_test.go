package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	charts "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/registry"

	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
)

const sample = "../../../deploy/charts/product-a"

// archive packs the sample chart as a version, and returns its file.
func archive(t *testing.T, version string) string {
	t.Helper()
	product, err := loader.LoadDir(sample)
	if err != nil {
		t.Fatal(err)
	}
	product.Metadata.Version = version
	file, err := charts.Save(product, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// shelf is a chart registry in memory that can be read: what each path under /v2/ answers.
type shelf map[string][]byte

func (s shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, there := s[strings.TrimPrefix(r.URL.Path, "/v2/")]
	if !there {
		http.Error(w, `{"errors":[{"code":"NAME_UNKNOWN"}]}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Docker-Content-Digest", digest(body))
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	w.Header().Set("Content-Type", "application/octet-stream")
	if strings.Contains(r.URL.Path, "/manifests/") {
		w.Header().Set("Content-Type", manifestType)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

const manifestType = "application/vnd.oci.image.manifest.v1+json"

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// add puts a chart on the shelf and returns its manifest's digest.
func (s shelf) add(t *testing.T, name, version string) string {
	t.Helper()
	packed, err := os.ReadFile(archive(t, version))
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Appendf(nil, `{"name":%q,"version":%q,"apiVersion":"v2"}`, name, version)
	part := func(mediaType string, b []byte) map[string]any {
		s[name+"/blobs/"+digest(b)] = b
		return map[string]any{"mediaType": mediaType, "digest": digest(b), "size": len(b)}
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType, "config": part(registry.ConfigMediaType, config),
		"layers": []any{part(registry.ChartLayerMediaType, packed)},
	})
	if err != nil {
		t.Fatal(err)
	}
	s[name+"/manifests/"+version], s[name+"/manifests/"+digest(manifest)] = manifest, manifest
	return digest(manifest)
}

// TestWhereChartsComeFrom loads one from a folder, an archive and a registry, which has newer ones too.
func TestWhereChartsComeFrom(t *testing.T) {
	t.Setenv("HELM_CACHE_HOME", t.TempDir())
	s := shelf{}
	old := s.add(t, "product-a", "0.7.0")
	s.add(t, "product-a", "0.8.0")
	s.add(t, "product-a", "0.9.0")
	s["product-a/tags/list"] = []byte(`{"name":"product-a","tags":["0.7.0","0.8.0","0.9.0"]}`)
	server := httptest.NewServer(s)
	defer server.Close()
	oci := strings.Replace(server.URL, "http://", "oci://", 1) + "/product-a"

	f := func(reference, version string) {
		t.Helper()
		cfg := Config{Charts: map[string]string{"Product-A": reference}}.withDefaults()
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", reference, err)
		}
		h := &Helm{cfg: cfg, logger: slog.New(slog.DiscardHandler), registry: []registry.ClientOption{registry.ClientOptPlainHTTP()}}
		o := backendtest.Order("cliente", "n")
		r, err := h.open(o)
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := h.chart(t.Context(), r, o)
		if err != nil {
			t.Errorf("%s: %v", reference, err)
			return
		}
		accessor, err := chart.NewAccessor(loaded)
		if err != nil {
			t.Fatal(err)
		}
		if got := accessor.MetadataAsMap()["Version"]; accessor.Name() != "product-a" || got != version {
			t.Errorf("%s: got chart %s version %v, want %s", reference, accessor.Name(), got, version)
		}
	}
	f(sample, "1.0.0")
	f(archive(t, "0.6.0"), "0.6.0")
	f(oci+":0.8.0", "0.8.0")
	f(oci+"@"+old, "0.7.0")
}

func TestAChartInARegistryHasAVersion(t *testing.T) {
	f := func(reference string, taken bool) {
		t.Helper()
		err := Config{Charts: map[string]string{"Product-A": reference}}.Validate()
		if (err == nil) != taken || err != nil && !strings.Contains(err.Error(), "settings.chart") {
			t.Errorf("%s: got %v, want that it is taken: %v", reference, err, taken)
		}
	}
	f("oci://registry.example:5000/charts/product-a", false)
	f("oci://registry.example:5000/charts/product-a:latest", false)
	f("oci://registry.example:5000/charts/product-a:1", false)
	f("oci://registry.example:5000/charts/product-a@", false)
	f("oci://registry.example:5000/charts/product-a:1.2.3", true)
	f("oci://registry.example/charts/product-a:1.2.3-rc.1", true)
	f("oci://registry.example/charts/product-a@"+digest(nil), true)
	f("charts/product-a", true)
	f("charts/product-a-0.1.0.tgz", true)
}

// TestHelmSaysForWhom it works: with what it says comes the trace id.
func TestHelmSaysForWhom(t *testing.T) {
	var said bytes.Buffer
	h := &Helm{logger: slog.New(slog.NewJSONHandler(&said, nil))}
	o := backendtest.Order("cliente", "n")
	r, err := h.open(o)
	if err != nil {
		t.Fatal(err)
	}
	r.helm.Logger().Info("something of Helm's")
	var line map[string]any
	if err := json.Unmarshal(said.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", said.String(), err)
	}
	if line["trace_id"] != o.TraceID || line["client"] != o.Client || line["order"] != o.ID {
		t.Errorf("got %v, want the order and its trace id", line)
	}
}
