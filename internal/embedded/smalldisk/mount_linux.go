package smalldisk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

func mount(dir string, size int64) error {
	return unix.Mount("fieldlog", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
}

// unmount takes it away from what still has files open on it, too.
func unmount(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }
