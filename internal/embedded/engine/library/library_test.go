package library

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// pack makes an npm package with one file.
func pack(t *testing.T, name, content string) []byte {
	t.Helper()
	var buffer bytes.Buffer
	zip := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(zip)
	for _, file := range [][2]string{{"package/package.json", "{}"}, {"package/" + name, content}} {
		if err := archive.WriteHeader(&tar.Header{Name: file[0], Mode: 0o644, Size: int64(len(file[1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(file[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

func integrity(data []byte) string {
	sum := sha512.Sum512(data)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}

// client puts an npm into the PATH that runs a script, with the package at $PACKAGE and a note of each call at $CALLS.
func client(t *testing.T, packed []byte, script string) (calls string) {
	t.Helper()
	dir := t.TempDir()
	calls = filepath.Join(dir, "calls")
	t.Setenv("PACKAGE", filepath.Join(dir, "package.bin"))
	t.Setenv("CALLS", calls)
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := os.WriteFile(filepath.Join(dir, "package.bin"), packed, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\necho \"$1 $2\" >> $CALLS\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return calls
}

const serves = "case $1 in pack) cp $PACKAGE lib.tgz;; esac\n"

func installerOf(integrity string) *installer {
	return &installer{
		platform: platform{pkg: "@scope/lib", file: "libchdb.so", integrity: integrity, size: 100},
		logger:   slog.New(slog.DiscardHandler),
	}
}

func TestInstallOnceOfMany(t *testing.T) {
	packed := pack(t, "libchdb.so", "the library")
	calls := client(t, packed, serves)
	path := filepath.Join(t.TempDir(), "cache", "libchdb.so")
	var many sync.WaitGroup
	for range 5 {
		many.Go(func() {
			if err := installerOf(integrity(packed)).install(t.Context(), path); err != nil {
				t.Error(err)
			}
		})
	}
	many.Wait()
	if got, err := os.ReadFile(path); err != nil || string(got) != "the library" {
		t.Errorf("got %q (%v)", got, err)
	}
	if got, _ := os.ReadFile(calls); string(got) != "pack @scope/lib@"+Version+"\n" {
		t.Errorf("npm was called: %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "install-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestInstallRemovesWhatAKilledOneLeft(t *testing.T) {
	packed := pack(t, "libchdb.so", "the library")
	client(t, packed, serves)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "install-old", "npm"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := installerOf(integrity(packed)).install(t.Context(), filepath.Join(dir, "libchdb.so")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "install-old")); err == nil {
		t.Error("the old download is still there")
	}
}

func TestInstallWithoutAPinnedChecksum(t *testing.T) {
	packed := pack(t, "libchdb.so", "the library")
	client(t, packed, "case $1 in view) echo '"+integrity(packed)+"';; pack) cp $PACKAGE lib.tgz;; esac\n")
	path := filepath.Join(t.TempDir(), "libchdb.so")
	if err := installerOf("").install(t.Context(), path); err != nil {
		t.Fatal(err)
	}
}

func TestInstallRefuses(t *testing.T) {
	good := pack(t, "libchdb.so", "the library")
	f := func(packed []byte, checksum, script, want string) {
		t.Helper()
		client(t, packed, script)
		path := filepath.Join(t.TempDir(), "libchdb.so")
		err := installerOf(checksum).install(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%q: a library was put in place", want)
		}
	}
	f(append(good, 0), integrity(good), serves, "is not the pinned one")
	f(good, "sha1-abc", serves, "is no sha512 checksum")
	f(pack(t, "other.so", "x"), integrity(pack(t, "other.so", "x")), serves, "holds no libchdb.so")
	f(good[:60], integrity(good[:60]), serves, "unpack")
	f(good, integrity(good), "exit 0\n", "left no package")
	f(good, "", "exit 0\n", "not published for this platform")
	f(good, integrity(good), "echo 'npm error code E404' >&2; exit 1\n", "not published for this platform")
	f(good, integrity(good), "echo 'npm error code ENOTFOUND' >&2; exit 1\n", "cannot reach its registry")
	f(good, integrity(good), "echo 'npm error code ENOSPC' >&2; exit 1\n", "no room is left")
	f(good, integrity(good), "echo 'npm error code EWHAT' >&2; exit 1\n", "it said: npm error code EWHAT")
}

func TestInstallWithoutNpm(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := installerOf("sha512-").install(t.Context(), filepath.Join(t.TempDir(), "libchdb.so"))
	if err == nil || !strings.Contains(err.Error(), "npm is not installed") || !strings.Contains(err.Error(), EnvOverride) {
		t.Errorf("got %v", err)
	}
}

func TestAnOwnLibrary(t *testing.T) {
	own := filepath.Join(t.TempDir(), "mine.so")
	t.Setenv(EnvOverride, own)
	if _, err := Install(t.Context(), nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("got %v, want that it does not exist", err)
	}
	if err := os.WriteFile(own, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Install(t.Context(), nil, slog.New(slog.DiscardHandler)); err != nil || got != own {
		t.Errorf("got %q (%v), want %q", got, err, own)
	}
}
