// Package products is the product catalogue: what clients may order, on what it runs, and how it is provisioned. It is a file in
// JSON that is read once, when a process starts:
//
//	[{
//	  "name": "Product-A", "description": "...",
//	  "hardware": ["Classic", "Shared"],      classes it is sold on
//	  "backend": "simulated",                 what provisions it; empty leaves it to the provisioner
//	  "settings": {"chart": "..."}            what that backend wants to know
//	}]
//
// A catalogue is immutable and safe for concurrent use. Unknown fields, repeated names and unknown classes are errors.
package products

import (
	_ "embed"
	"fmt"
	"os"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/fieldlog/fieldlog/schemas"
)

// Product is something that a client may order.
type Product struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Hardware    []string          `json:"hardware"`
	Backend     string            `json:"backend,omitzero"`
	Settings    map[string]string `json:"settings,omitzero"`
}

// Catalogue is what is sold.
type Catalogue struct{ products []Product }

//go:embed products.json
var standard []byte

// Default returns the catalogue that comes with the program.
func Default() (*Catalogue, error) { return parse("the default catalogue", standard) }

// Load reads a catalogue from a file; an empty path is the default one.
func Load(path string) (*Catalogue, error) {
	if path == "" {
		return Default()
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read product catalogue: %w; change --products", err)
	}
	return parse(path, text)
}

func parse(name string, text []byte) (*Catalogue, error) {
	c := &Catalogue{}
	if err := json.Unmarshal(text, &c.products, json.RejectUnknownMembers(true)); err != nil {
		return nil, fmt.Errorf("read product catalogue %q: %w", name, err)
	}
	for i, p := range c.products {
		if p.Name == "" || slices.ContainsFunc(c.products[:i], func(q Product) bool { return q.Name == p.Name }) {
			return nil, fmt.Errorf("read product catalogue %q: product %d has no name, or one that is taken", name, i)
		}
		if len(p.Hardware) == 0 {
			return nil, fmt.Errorf("read product catalogue %q: %q is sold on no hardware", name, p.Name)
		}
		for _, h := range p.Hardware {
			if !slices.Contains(schemas.HardwareClasses(), h) {
				return nil, fmt.Errorf("read product catalogue %q: %q is sold on %q, there are %q", name, p.Name, h, schemas.HardwareClasses())
			}
		}
	}
	if len(c.products) == 0 {
		return nil, fmt.Errorf("read product catalogue %q: it has no product", name)
	}
	return c, nil
}

// All returns the products in the order of the file. They are shared: do not change them.
func (c *Catalogue) All() []Product { return c.products }

// Find returns the product of that name.
func (c *Catalogue) Find(name string) (Product, bool) {
	i := slices.IndexFunc(c.products, func(p Product) bool { return p.Name == name })
	if i < 0 {
		return Product{}, false
	}
	return c.products[i], true
}

// Sold returns the classes of hardware that a product is sold on, what provisions it, and whether there is such a product.
func (c *Catalogue) Sold(product string) (hardware []string, backend string, known bool) {
	p, known := c.Find(product)
	return p.Hardware, p.Backend, known
}
