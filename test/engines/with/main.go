// Command with runs a command with real engines: three Apache Kafka brokers and a schema registry, whose addresses it finds in
// FIELDLOG_TEST_BROKERS and FIELDLOG_TEST_REGISTRY. It ends with the command's exit code, and shows the engines' logs if that is
// not 0.
//
//	go run ./test/engines/with go test ./test
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/fieldlog/fieldlog/internal/run"
	"github.com/fieldlog/fieldlog/test/engines"
)

// startTime bounds the start of the engines, the download of their packages included.
const startTime = 5 * time.Minute

func main() {
	ctx, stop := run.Signals(context.Background(), os.Exit)
	defer stop()
	code, err := with(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with:", err)
	}
	os.Exit(code)
}

// with runs the command and returns its exit code.
func with(ctx context.Context, command []string) (code int, err error) {
	if len(command) == 0 {
		return 2, errors.New("which command? Usage: with COMMAND [ARGUMENT]")
	}
	dir, err := os.MkdirTemp("", "engines-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	begin := time.Now()
	bound, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	cluster, err := engines.Start(bound, engines.Options{Dir: dir})
	if err != nil {
		return 1, err
	}
	fmt.Fprintf(os.Stderr, "engines: brokers %s, registry %s, ready after %s\n", strings.Join(cluster.Brokers(), ","), cluster.Registry(), time.Since(begin).Round(time.Millisecond))
	ran := execute(ctx, cluster, command)
	if ran != nil {
		fmt.Fprint(os.Stderr, cluster.Logs(40))
	}
	var exit *exec.ExitError
	if errors.As(ran, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), cluster.Close()
	}
	if err := errors.Join(ran, cluster.Close()); err != nil {
		return 1, err
	}
	return 0, nil
}

// execute runs the command; when ctx ends it is interrupted.
func execute(ctx context.Context, cluster *engines.Cluster, command []string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "FIELDLOG_TEST_BROKERS="+strings.Join(cluster.Brokers(), ","), "FIELDLOG_TEST_REGISTRY="+cluster.Registry())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 30 * time.Second
	return cmd.Run()
}
