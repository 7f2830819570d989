package simulated_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fieldlog/fieldlog/services/provisioner/backend"
	"github.com/fieldlog/fieldlog/services/provisioner/backend/backendtest"
	"github.com/fieldlog/fieldlog/services/provisioner/simulated"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	backendtest.Run(t, simulated.New(simulated.Config{Dir: dir}), func(namespace string) string {
		text, err := os.ReadFile(filepath.Join(dir, namespace, "site.json"))
		if errors.Is(err, fs.ErrNotExist) {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	})
}

// TestSomeFail counts who fails, and that half of them recover.
func TestSomeFail(t *testing.T) {
	s := simulated.New(simulated.Config{Dir: t.TempDir(), FailOneIn: 5})
	const orders = 400
	recovered, lost := 0, 0
	for n := range orders {
		o := backendtest.Order("cliente", fmt.Sprint("n", n))
		tries := 1
		for ; tries <= 5; tries++ {
			err := s.Do(t.Context(), o, "rollout")
			if err == nil {
				break
			}
			if !errors.Is(err, backend.ErrUnready) {
				t.Fatalf("got %v, want that the others' sites are well", err)
			}
		}
		switch {
		case tries > 5:
			lost++
		case tries > 1:
			recovered++
		}
	}
	if recovered < orders/20 || recovered > orders/5 || lost < orders/20 || lost > orders/5 {
		t.Errorf("of %d orders %d recovered and %d were lost; one in ten of each is meant", orders, recovered, lost)
	}
}

// TestTheSitesAreDown: that is the backend's fault, so it may open the breaker.
func TestTheSitesAreDown(t *testing.T) {
	dir := t.TempDir()
	s := simulated.New(simulated.Config{Dir: dir})
	o := backendtest.Order("cliente", "n")
	down := filepath.Join(dir, simulated.Down)
	if err := os.WriteFile(down, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var refusal *backend.Refusal
	if err := s.Do(t.Context(), o, "namespace"); err == nil || errors.Is(err, backend.ErrUnready) || errors.As(err, &refusal) {
		t.Errorf("got %v, want a failure of the backend's own", err)
	}
	if err := os.Remove(down); err != nil {
		t.Fatal(err)
	}
	if err := s.Do(t.Context(), o, "namespace"); err != nil {
		t.Error(err)
	}
}

// TestActsAreNoted where the file for them is there, with what each changed.
func TestActsAreNoted(t *testing.T) {
	dir := t.TempDir()
	s := simulated.New(simulated.Config{Dir: dir})
	o := backendtest.Order("cliente", "n")
	do := func(o backend.Order, step string) {
		t.Helper()
		var err error
		if step == "remove" {
			err = s.Remove(t.Context(), o)
		} else {
			err = s.Do(t.Context(), o, step)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	do(o, "namespace")
	file := filepath.Join(dir, simulated.Acts)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v, want no file that nobody made", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		do(o, "quota")
	}
	if err := s.Do(t.Context(), backendtest.Order("another", "n"), "quota"); err == nil {
		t.Error("another client's site was changed")
	}
	o.Version = 2
	for range 2 {
		do(o, "remove")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(string(text)) {
		var a simulated.Act
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(a.Client, " ", a.Order, " ", a.Version, " ", a.Step, " ", a.Changed))
	}
	want := []string{"cliente order-n 1 quota true", "cliente order-n 1 quota false", "cliente order-n 2 remove true", "cliente order-n 2 remove false"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesThatAreNoFolders(t *testing.T) {
	s := simulated.New(simulated.Config{Dir: t.TempDir()})
	f := func(namespace string) {
		t.Helper()
		var refusal *backend.Refusal
		if err := s.Do(context.Background(), backendtest.Order("c", namespace), "namespace"); !errors.As(err, &refusal) {
			t.Errorf("%q: got %v, want a refusal", namespace, err)
		}
	}
	f("..")
	f("../up")
	f("a/b")
	f("/root")
	f(strings.Repeat("../", 3) + "etc")
}

// TestWhoWakesUpLateChangesNothing: the act of an earlier version ends after a later one was made, and after it was removed.
func TestWhoWakesUpLateChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s, zombie := simulated.New(simulated.Config{Dir: dir}), simulated.New(simulated.Config{Dir: dir})
	first := backendtest.Order("cliente", "late")
	second, removal := first, first
	second.Version, removal.Version = 2, 3
	if err := s.Do(t.Context(), second, "namespace"); err != nil {
		t.Fatal(err)
	}
	if err := zombie.Do(t.Context(), first, "namespace"); err == nil {
		t.Error("version 1 was made over version 2")
	}
	if done, err := s.Done(t.Context(), second, "namespace"); !done || err != nil {
		t.Errorf("got %v, %v: version 2 does not stand any more", done, err)
	}
	if err := s.Remove(t.Context(), removal); err != nil {
		t.Fatal(err)
	}
	if err := zombie.Do(t.Context(), second, "namespace"); err == nil {
		t.Error("version 2 was made after it was removed")
	}
	if _, err := os.Stat(filepath.Join(dir, "late")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no site", err)
	}
}

// TestASiteThatCannotBeReadStays removes an order while nobody can tell whose the site is.
func TestASiteThatCannotBeReadStays(t *testing.T) {
	dir := t.TempDir()
	s := simulated.New(simulated.Config{Dir: dir})
	o := backendtest.Order("cliente", "n")
	file := filepath.Join(dir, o.Namespace, "site.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context(), o); err == nil {
		t.Error("it was removed")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
