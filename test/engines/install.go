package engines

import (
	"context"
	"crypto/sha256"
	_ "embed" // for the pinned versions
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

//go:embed pom.xml
var pom []byte

// packages is a folder with everything the engines need.
type packages string

func (p packages) kafka() string    { return filepath.Join(string(p), "kafka") }
func (p packages) registry() string { return filepath.Join(string(p), "registry") }

// Install brings the engines' packages into the user's cache folder unless they are there, and returns their folder. An
// interrupted call leaves nothing that a later one would take for complete.
func Install(ctx context.Context) (string, error) {
	for _, tool := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "", fmt.Errorf("install the engines' packages: JDK 17 and Maven are needed: %w", err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	sum := sha256.Sum256(pom)
	folder := filepath.Join(cache, "fieldlog", "java", hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	return folder, install(ctx, folder)
}

func install(ctx context.Context, folder string) error {
	parent := filepath.Dir(folder)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("make cache folder: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(parent, "lock")) // Maven's own cache is for one process at a time, too
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return nil // another process was faster
	}
	work := folder + ".part"
	if err := os.RemoveAll(work); err != nil { // of an install that was killed
		return fmt.Errorf("remove old download: %w", err)
	}
	if err := download(ctx, work); err != nil {
		return errors.Join(err, os.RemoveAll(work))
	}
	if err := os.Rename(work, folder); err != nil {
		return fmt.Errorf("put the packages in place: %w", err)
	}
	return nil
}

// download lets Maven bring the packages; it checks their checksums.
func download(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make folder for the download: %w", err)
	}
	project := filepath.Join(folder, "pom.xml")
	if err := os.WriteFile(project, pom, 0o644); err != nil {
		return fmt.Errorf("write Maven's project: %w", err)
	}
	cmd := exec.CommandContext(ctx, "mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", project, "-Dfolder="+folder,
		"dependency:copy-dependencies@kafka", "dependency:unpack@registry")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bring the engines' packages: mvn: %w\n%s", err, out)
	}
	return nil
}

// lock waits until no other process has the file locked.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock cache folder: %w", err)
	}
	err = poll(ctx, 50*time.Millisecond, func() error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wait for another install (%s): %w", path, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// poll calls f until it returns nil or ctx ends, and returns its last error.
func poll(ctx context.Context, every time.Duration, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(every):
		}
	}
}
