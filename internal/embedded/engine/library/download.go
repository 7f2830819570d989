package library

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func checkRoom(dir string) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return fmt.Errorf("look for room in %q: %w", dir, err)
	}
	if free := int64(stat.Bavail) * int64(stat.Bsize); free < room {
		return fmt.Errorf("the engine library needs %d MiB in %q, %d MiB are free: make room, or set XDG_CACHE_HOME", room>>20, dir, free>>20)
	}
	return nil
}

// download packs the package with npm into dir and returns the verified file.
func download(ctx context.Context, p platform, dir string, progress Progress, logger *slog.Logger) (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", fmt.Errorf("npm is not installed: it fetches the ClickHouse engine library; install Node.js with npm, or set %s to a libchdb of version %s, or --clickhouse to a server", EnvOverride, Version)
	}
	logger.Info("fetching the engine library", "package", p.pkg, "version", Version, "bytes", p.size)
	want := p.integrity
	if want == "" {
		stated, err := npm(ctx, dir, "view", p.pkg+"@"+Version, "dist.integrity")
		if err != nil {
			return "", err
		}
		want = strings.TrimSpace(stated)
		logger.Warn("no checksum is pinned for this platform; verifying the one the registry states", "integrity", want)
	}
	stop := watch(filepath.Join(dir, "npm"), p.size, progress)
	_, err := npm(ctx, dir, "pack", p.pkg+"@"+Version, "--pack-destination", dir)
	stop()
	if err != nil {
		return "", err
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return "", fmt.Errorf("fetch %s@%s: npm left no package in %q", p.pkg, Version, dir)
	}
	return packed[0], verify(packed[0], want)
}

// npm runs the client with a cache of its own, so that nothing is left behind.
func npm(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "npm", append(args, "--cache", filepath.Join(dir, "npm"), "--loglevel", "error")...)
	cmd.Dir = dir
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm %s: %w: %s; is the machine offline, or the package not published for this platform? Set %s to use a library of your own", args[0], err, lastLines(complaint.String()), EnvOverride)
	}
	return out.String(), nil
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}

// watch reports the growth of a folder until the returned function is called.
func watch(dir string, total int64, progress Progress) (stop func()) {
	if progress == nil {
		return func() {}
	}
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				progress("download", total, total)
				return
			case <-tick.C:
				progress("download", min(sizeOf(dir), total), total)
			}
		}
	}()
	return func() { close(done); <-stopped }
}

func sizeOf(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // files come and go while npm works
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}

// verify compares a file with a checksum as npm writes it: "sha512-<base64>".
func verify(file, want string) error {
	encoded, found := strings.CutPrefix(want, "sha512-")
	sum, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(sum) != sha512.Size {
		return fmt.Errorf("verify %q: %q is no sha512 checksum", filepath.Base(file), want)
	}
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("verify the download: %w", err)
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return fmt.Errorf("verify the download: %w", err)
	}
	if got := hash.Sum(nil); !bytes.Equal(got, sum) {
		return fmt.Errorf("%w: its sha512 is %s, want %s", errChecksum, base64.StdEncoding.EncodeToString(got), encoded)
	}
	return nil
}

// unpack takes one file out of an npm package and returns its path in dir.
func unpack(packed, name, dir string, progress Progress) (string, error) {
	f, err := os.Open(packed)
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	unzip, err := gzip.NewReader(&counted{src: f, total: info.Size(), step: "unpack", progress: progress})
	if err != nil {
		return "", fmt.Errorf("unpack %q: %w", filepath.Base(packed), err)
	}
	archive := tar.NewReader(unzip)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("unpack %q: it holds no %s", filepath.Base(packed), name)
		}
		if err != nil {
			return "", fmt.Errorf("unpack %q: %w", filepath.Base(packed), err)
		}
		if filepath.Base(header.Name) == name && header.Typeflag == tar.TypeReg {
			return write(filepath.Join(dir, name), archive)
		}
	}
}

func write(path string, src io.Reader) (string, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if err != nil {
		return "", fmt.Errorf("unpack: %w", err)
	}
	if _, err := io.Copy(f, src); err != nil {
		return "", errors.Join(fmt.Errorf("unpack %q: %w", filepath.Base(path), err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return "", errors.Join(fmt.Errorf("unpack %q: %w", filepath.Base(path), err), f.Close())
	}
	return path, f.Close()
}
