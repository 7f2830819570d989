package embedded_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/internal/embedded"
)

func TestAcquire(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "data")
	first, err := embedded.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := embedded.Owner(dir); got != os.Getpid() {
		t.Errorf("got owner %d, want %d", got, os.Getpid())
	}
	_, err = embedded.Acquire(dir)
	if !errors.Is(err, embedded.ErrInUse) {
		t.Fatalf("got %v, want ErrInUse for the second", err)
	}
	for _, want := range []string{"process " + strconv.Itoa(os.Getpid()), "--data", dir} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to tell %q", err, want)
		}
	}
	if err := first.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := embedded.Acquire(dir)
	if err != nil {
		t.Fatalf("acquire a folder that was given back: %v", err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
}

func TestAcquireNamesTheFlag(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Acquire(file); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("got %v, want which flag to change", err)
	}
	if got := embedded.Owner(t.TempDir()); got != 0 {
		t.Errorf("got owner %d of a folder that nobody locked", got)
	}
}
