package library

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// installer brings one platform's library to a place.
type installer struct {
	platform platform
	progress Progress
	logger   *slog.Logger
}

func (i *installer) install(ctx context.Context, path string) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lock(ctx, folder)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return nil // another process was faster
	}
	work, err := workFolder(folder)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	packed, err := i.download(ctx, work)
	if err != nil {
		return err
	}
	unpacked, err := unpack(packed, i.platform.file, work, i.progress)
	if err != nil {
		return err
	}
	if err := os.Rename(unpacked, path); err != nil {
		return fmt.Errorf("put the library in place: %w", err)
	}
	i.logger.Info("installed the engine library", "version", Version, "path", path)
	return nil
}

// workFolder makes a folder for the download, with enough room, and removes those of installs that were killed.
func workFolder(folder string) (string, error) {
	stale, err := filepath.Glob(filepath.Join(folder, "install-*"))
	if err != nil {
		return "", fmt.Errorf("look for old downloads: %w", err)
	}
	for _, old := range stale {
		if err := os.RemoveAll(old); err != nil {
			return "", fmt.Errorf("remove old download: %w", err)
		}
	}
	if err := checkRoom(folder); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(folder, "install-")
	if err != nil {
		return "", fmt.Errorf("make folder for the download: %w", err)
	}
	return work, nil
}

// lock waits until no other process installs into the folder.
func lock(ctx context.Context, folder string) (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock cache folder: %w", err)
	}
	for {
		if err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			return func() { _ = file.Close() }, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for another install in %q: %w", folder, ctx.Err()), file.Close())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
