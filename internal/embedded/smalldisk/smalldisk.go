// Package smalldisk gives tests a disk that is really full: a file system of its own, in memory, of a given size.
//
// Promise: a write beyond the size fails with ENOSPC, as on any disk, and nothing else on the machine is touched. The file system
// is gone when the test is. It needs Linux and the right to mount, which root has: without it a test is skipped, but in CI fails.
package smalldisk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Disk is a small file system.
type Disk struct {
	// Dir is where it is mounted.
	Dir    string
	filler string
}

// New mounts a disk of that many bytes.
func New(t testing.TB, size int64) *Disk {
	t.Helper()
	dir := t.TempDir()
	if err := mount(dir, size); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("mount a small disk: %v; run as root", err)
		}
		t.Skipf("mount a small disk: %v; run as root", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Errorf("unmount %q: %v", dir, err)
		}
	})
	return &Disk{Dir: dir, filler: filepath.Join(dir, "filler")}
}

// Fill takes all room but that many bytes.
func (d *Disk) Fill(t testing.TB, left int64) {
	t.Helper()
	if err := d.fill(left); err != nil {
		t.Fatalf("fill the disk at %q: %v", d.Dir, err)
	}
}

func (d *Disk) fill(left int64) error {
	f, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	chunk := make([]byte, 64<<10)
	for {
		free, err := d.Free()
		if err != nil || free <= left {
			return err
		}
		if _, err := f.Write(chunk[:min(free-left, int64(len(chunk)))]); errors.Is(err, unix.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Free returns the bytes that are free.
func (d *Disk) Free() (int64, error) {
	var stat unix.Statfs_t
	err := unix.Statfs(d.Dir, &stat)
	return int64(stat.Bavail) * int64(stat.Bsize), err //nolint:unconvert // its type differs between systems
}

// Clear gives the room back that Fill took.
func (d *Disk) Clear(t testing.TB) {
	t.Helper()
	if err := os.Remove(d.filler); err != nil {
		t.Fatal(err)
	}
}
