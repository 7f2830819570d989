package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFile is within the data folder. It holds the process id of the last owner, and is never removed: removing it would
// let two processes hold a lock on two files of one name.
const lockFile = "lock"

// ErrInUse says that another process has the data folder.
var ErrInUse = errors.New("the data folder is in use")

// Lock is the sole right to a data folder. The operating system takes it back when the process ends, however it ends.
type Lock struct{ file *os.File }

// Acquire makes the folder if it is missing and locks it, or says which process has it (ErrInUse).
func Acquire(dir string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make data folder %q: %w; change --data", dir, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock data folder %q: %w; change --data", dir, err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, errors.Join(inUse(dir), file.Close())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder %q: %w", dir, err), file.Close())
	}
	if err := sign(file); err != nil {
		return nil, errors.Join(fmt.Errorf("lock data folder %q: %w", dir, err), file.Close())
	}
	return &Lock{file}, nil
}

func inUse(dir string) error {
	if pid := Owner(dir); pid > 0 {
		return fmt.Errorf("%w: %q belongs to process %d; end that one, or change --data", ErrInUse, dir, pid)
	}
	return fmt.Errorf("%w: another process has %q; end that one, or change --data", ErrInUse, dir)
}

// Owner returns the process id that last locked a data folder, 0 when there was none.
func Owner(dir string) int {
	text, err := os.ReadFile(filepath.Join(dir, lockFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return pid
}

func sign(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// Release gives the folder back.
func (l *Lock) Release() error { return l.file.Close() }
