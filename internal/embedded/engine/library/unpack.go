package library

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// counted reports progress while it is read.
type counted struct {
	src      io.Reader
	done     int64
	total    int64
	step     string
	progress Progress
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.src.Read(p)
	c.done += int64(n)
	if c.progress != nil {
		c.progress(c.step, c.done, c.total)
	}
	return n, err
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
