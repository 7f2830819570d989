package test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentsNameTestsThatExist reads every document: a promise whose test went away is a promise without proof.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	var code, named strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "node_modules") {
			return filepath.SkipDir
		}
		into := map[string]*strings.Builder{".md": &named, ".go": &code}[filepath.Ext(path)]
		if into == nil || filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		into.Write(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(named.String(), -1)
	if len(tests) < 10 {
		t.Errorf("the documents name %d tests; there should be many", len(tests))
	}
	for _, m := range tests {
		if !strings.Contains(code.String(), "func "+m[1]+"(") {
			t.Errorf("a document names %s, which does not exist", m[1])
		}
	}
}
