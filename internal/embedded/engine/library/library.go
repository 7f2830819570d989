// Package library brings the ClickHouse engine library into the user's cache: the pinned version, with its checksum
// verified, once per machine. It uses the ordinary npm client, so that mirrors and proxies work as configured there.
package library

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// Version is the pinned version of the library.
const Version = "26.7.3-stable.1"

// platform is a build of the library.
type platform struct {
	pkg  string // npm package
	file string // the library in it
	// integrity is the pinned checksum as npm writes it. Where it is empty, the checksum that the registry states is
	// verified instead, and Install says so.
	integrity string
	size      int64 // of the package, in bytes; for the progress bar
}

// room is what unpacking needs on disk, in bytes: the package and the library side by side.
const room = 800 << 20

func platforms() map[string]platform {
	return map[string]platform{
		"linux/amd64": {
			pkg: "@chdb/lib-linux-x64-gnu", file: "libchdb.so", size: 177_817_999,
			integrity: "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==",
		},
		"linux/arm64":  {pkg: "@chdb/lib-linux-arm64-gnu", file: "libchdb.so", size: 170_000_000},
		"darwin/arm64": {pkg: "@chdb/lib-darwin-arm64", file: "libchdb.so", size: 150_000_000},
		"darwin/amd64": {pkg: "@chdb/lib-darwin-x64", file: "libchdb.so", size: 160_000_000},
	}
}

// EnvOverride names the environment variable with the path of a library to use instead of the pinned one.
const EnvOverride = "FIELDLOG_ENGINE_LIBRARY"

// Path returns where the library is, or will be after Install.
func Path() (string, error) {
	if own := os.Getenv(EnvOverride); own != "" {
		return own, nil
	}
	p, known := platforms()[runtime.GOOS+"/"+runtime.GOARCH]
	if !known {
		return "", fmt.Errorf("the ClickHouse engine library is not published for %s/%s: set --clickhouse to use a ClickHouse server instead", runtime.GOOS, runtime.GOARCH)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache folder: %w; set HOME or XDG_CACHE_HOME", err)
	}
	return filepath.Join(cache, "fieldlog", "engine", Version+"-"+runtime.GOOS+"-"+runtime.GOARCH, p.file), nil
}

// Installed tells whether the library is there.
func Installed() bool {
	path, err := Path()
	if err != nil {
		return false
	}
	_, err = os.Stat(path)
	return err == nil
}

// Progress is told how many bytes of how many are done, of a step with a name. total may be an estimate.
type Progress func(step string, done, total int64)

// Install makes sure that the library is in the cache and returns its path. Of several processes at once, one fetches it and
// the others wait; the finished file is put in place by a rename, and what an install that was killed left behind is removed.
func Install(ctx context.Context, progress Progress, logger *slog.Logger) (string, error) {
	path, err := Path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if os.Getenv(EnvOverride) != "" {
		return "", fmt.Errorf("%s names %q, which does not exist", EnvOverride, path)
	}
	i := installer{platform: platforms()[runtime.GOOS+"/"+runtime.GOARCH], progress: progress, logger: logger}
	return path, i.install(ctx, path)
}
