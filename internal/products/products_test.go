package products

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDefaultCatalogueIsWhole(t *testing.T) {
	c, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Product-A", "Product-B", "Product-C"} {
		if p, known := c.Find(name); !known || p.Description == "" || len(p.Hardware) == 0 {
			t.Errorf("%s is %+v", name, p)
		}
	}
	if hardware, _, known := c.Sold("Product-D"); known || hardware != nil {
		t.Errorf("a product that is not sold runs on %q", hardware)
	}
	if len(c.All()) != 3 {
		t.Errorf("%d products", len(c.All()))
	}
}

func TestABrokenCatalogueIsRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "products.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	f(`[]`, "no product")
	f(`[{"name":"A","hardware":["Shared"]},{"name":"A","hardware":["Shared"]}]`, "taken")
	f(`[{"name":"A","hardware":["Abacus"]}]`, "Abacus")
	f(`[{"name":"A"}]`, "no hardware")
	f(`[{"name":"A","hardware":["Shared"],"colour":"red"}]`, "colour")
	f(`[{"name":"A","name":"B","hardware":["Shared"]}]`, "duplicate")
	if _, err := Load(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "--products") {
		t.Errorf("got %v for a file that is not there", err)
	}
}
