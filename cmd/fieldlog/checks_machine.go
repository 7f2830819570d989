package main

//	data folder, lock, disk, engine library, file limit, memory -> findings

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/fieldlog/fieldlog/internal/embedded"
	"github.com/fieldlog/fieldlog/internal/embedded/engine/library"
)

// What a machine needs, in bytes and files.
const (
	needDisk   = 2 << 30
	needMemory = 1 << 30
	needFiles  = 4096
)

// folder looks at the data folder, or at the nearest folder above it that exists.
func (e *examination) folder(dir string) {
	there, err := filepath.Abs(dir)
	if err != nil {
		e.wrong("data folder", "change --data", "%q: %v", dir, err)
		return
	}
	info, err := os.Stat(there)
	for err != nil && filepath.Dir(there) != there {
		there = filepath.Dir(there)
		info, err = os.Stat(there)
	}
	if err != nil || !info.IsDir() {
		e.wrong("data folder", "change --data", "%q is not a folder", there)
		return
	}
	if err := unix.Access(there, unix.W_OK|unix.X_OK); err != nil {
		e.wrong("data folder", "change --data, or the rights of the folder", "%q cannot be written: %v", there, err)
		return
	}
	e.well("data folder", "%q can be written", there)
	e.lock(dir)
	e.disk(there)
}

func (e *examination) lock(dir string) {
	pid := embedded.Owner(dir)
	if pid == 0 {
		e.nothing("data lock", "nothing has used %q yet", dir)
		return
	}
	lock, err := embedded.Acquire(dir)
	if err != nil {
		e.well("data lock", "process %d has %q", pid, dir)
		return
	}
	if err := lock.Release(); err != nil {
		e.wrong("data lock", "look at the disk", "%v", err)
		return
	}
	e.nothing("data lock", "free; process %d had it last", pid)
}

func (e *examination) disk(dir string) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		e.wrong("disk", "change --data", "%q: %v", dir, err)
		return
	}
	free := stat.Bavail * uint64(stat.Bsize)
	if free < needDisk {
		e.wrong("disk", "make room, or change --data", "%d MiB are free at %q, at least %d are needed", free>>20, dir, uint64(needDisk)>>20)
		return
	}
	e.well("disk", "%d GiB are free", free>>30)
}

// engineLibrary looks for the library, and for npm where it is missing. Its checksum was verified when it was installed; what
// happens to a file of one's own cache after that shows in its size.
func (e *examination) engineLibrary() {
	path, err := library.Path()
	if err != nil {
		e.wrong("engine library", "use --clickhouse with a ClickHouse server", "%v", err)
		return
	}
	if info, err := os.Stat(path); err == nil {
		if info.Size() < 100<<20 {
			e.wrong("engine library", "remove it and run: fieldlog engine install", "%q has only %d MiB", path, info.Size()>>20)
			return
		}
		e.well("engine library", "%s in %q", library.Version, path)
		return
	}
	if _, err := exec.LookPath("npm"); err != nil {
		e.wrong("npm", "install Node.js with npm, or use --clickhouse with a ClickHouse server", "npm is missing, and so is the engine library it brings")
		return
	}
	e.well("npm", "is there")
	e.wrong("engine library", "run: fieldlog engine install", "%q is missing", path)
}

func (e *examination) limits() {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		e.wrong("open files", "look at ulimit -n", "%v", err)
	} else if files.Cur < needFiles {
		e.wrong("open files", "raise it: ulimit -n 65536", "a process may have %d, at least %d are needed", files.Cur, needFiles)
	} else {
		e.well("open files", "a process may have %d", files.Cur)
	}
	switch free, known := freeMemory(); {
	case !known:
		e.nothing("memory", "this system does not tell")
	case free < needMemory:
		e.wrong("memory", "end something else", "%d MiB are free, at least %d are needed", free>>20, int64(needMemory)>>20)
	default:
		e.well("memory", "%.1f GiB are free", float64(free)/(1<<30))
	}
}

// freeMemory returns what this process may still use, where Linux tells: of the machine, and of its control group (v2).
func freeMemory() (int64, bool) {
	file, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	defer func() { _ = file.Close() }() // it was only read
	free := int64(-1)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), "MemAvailable:"); found {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err == nil {
				free = kilobytes << 10
			}
		}
	}
	limit, limited := number("/sys/fs/cgroup/memory.max")
	used, _ := number("/sys/fs/cgroup/memory.current")
	if limited && free >= 0 {
		free = min(free, limit-used)
	}
	return free, free >= 0
}

func number(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
