package library

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	if free := int64(stat.Bavail) * int64(stat.Bsize); free < room { //nolint:unconvert // Bsize has 32 bits on darwin
		return fmt.Errorf("the engine library needs %d MiB in %q, %d MiB are free: make room, or set XDG_CACHE_HOME", room>>20, dir, free>>20)
	}
	return nil
}

// download packs the package with npm into dir and returns the verified file.
func (i *installer) download(ctx context.Context, dir string) (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", fmt.Errorf("npm is not installed: it fetches the ClickHouse engine library; install Node.js with npm, or set %s to a libchdb of version %s, or --clickhouse to a server", EnvOverride, Version)
	}
	name := i.platform.pkg + "@" + Version
	i.logger.Info("fetching the engine library", "package", i.platform.pkg, "version", Version, "bytes", i.platform.size)
	want := i.platform.integrity
	if want == "" {
		stated, err := npm(ctx, dir, "view", name, "dist.integrity")
		if err != nil {
			return "", err
		}
		if want = strings.TrimSpace(stated); want == "" {
			return "", fmt.Errorf("fetch %s: %w", name, errNotPublished)
		}
		i.logger.Warn("no checksum is pinned for this platform; verifying the one the registry states", "integrity", want)
	}
	stop := watch(filepath.Join(dir, "npm"), i.platform.size, i.progress)
	_, err := npm(ctx, dir, "pack", name, "--pack-destination", dir)
	stop()
	if err != nil {
		return "", err
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return "", fmt.Errorf("fetch %s: npm left no package in %q", name, dir)
	}
	return packed[0], verify(packed[0], want)
}

// Why npm could not do it, and what to do about it.
var (
	errNotPublished = fmt.Errorf("the package is not published for this platform; set --clickhouse to use a ClickHouse server, or %s to a library of your own", EnvOverride)
	errOffline      = fmt.Errorf("npm cannot reach its registry; check network, proxy and npm's configuration, or set %s to a library of your own", EnvOverride)
	errNoRoom       = fmt.Errorf("no room is left on the disk; the engine library needs %d MiB: make room, or set XDG_CACHE_HOME", room>>20)
	errOther        = fmt.Errorf("see what npm says, or set %s to a library of your own", EnvOverride)
)

// npm runs the client with a cache of its own, so that nothing is left behind.
func npm(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "npm", append(args, "--cache", filepath.Join(dir, "npm"), "--loglevel", "error")...)
	cmd.Dir = dir
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("npm %s: %w: %w; it said: %s", args[0], err, reason(complaint.String()), lastLines(complaint.String()))
	}
	return out.String(), nil
}

// reason reads npm's error codes.
func reason(complaint string) error {
	for _, known := range []struct {
		err   error
		codes []string
	}{
		{errNoRoom, []string{"ENOSPC"}},
		{errNotPublished, []string{"E404", "ETARGET", "EBADPLATFORM"}},
		{errOffline, []string{"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ENOTCACHED"}},
	} {
		for _, code := range known.codes {
			if strings.Contains(complaint, code) {
				return known.err
			}
		}
	}
	return errOther
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

var errChecksum = errors.New("the downloaded engine library is not the pinned one")

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
