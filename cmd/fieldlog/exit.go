package main

//	error of a command -> exit code, and one line on stderr

import (
	"context"
	"errors"
	"fmt"

	"github.com/fieldlog/fieldlog/internal/run"
)

// The exit codes.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitUnavailable = 3
	exitInterrupted = run.Interrupted
)

const exitCodes = `Exit codes:
  0    done; for a service: drained after SIGINT or SIGTERM
  1    it failed, and stderr says why
  2    the command line or a FIELDLOG_ variable is wrong
  3    brokers, registry, ClickHouse or gateway could not be reached
  130  interrupted before it was done, or told twice to end`

// errUsage marks errors in what was asked for.
var errUsage = errors.New("usage")

// errInterrupted says that a command was ended before it was done.
var errInterrupted = errors.New("interrupted")

// unavailable is an error of something that could not be reached.
type unavailable struct{ err error }

func (u unavailable) Error() string { return u.err.Error() }
func (u unavailable) Unwrap() error { return u.err }

// usagef makes an error that marks wrong usage.
func usagef(format string, args ...any) error { return wrongUsage{fmt.Errorf(format, args...)} }

type wrongUsage struct{ err error }

func (w wrongUsage) Error() string   { return w.err.Error() }
func (w wrongUsage) Unwrap() []error { return []error{w.err, errUsage} }

// explain prints what went wrong and returns the exit code.
func (p *program) explain(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailure
	case errors.Is(err, errInterrupted), ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(p.stderr, "fieldlog: interrupted")
		return exitInterrupted
	}
	fmt.Fprintln(p.stderr, "fieldlog:", err)
	switch {
	case !p.begun || errors.Is(err, errUsage):
		fmt.Fprintln(p.stderr, `Run "fieldlog help" or add -h to a command to see what there is.`)
		return exitUsage
	case errors.As(err, &unavailable{}):
		return exitUnavailable
	}
	return exitFailure
}

// errSilent is a failure that the command already reported.
var errSilent = errors.New("failed")
