package run

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Interrupted is the exit code of a process that was told twice to end.
const Interrupted = 130

// Signals returns a context that ends with the first SIGINT or SIGTERM; the second calls exit with Interrupted. Exit is
// os.Exit, or stands in for it. Stop gives the signals back.
func Signals(parent context.Context, exit func(code int)) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for count := 1; ; count++ {
			select {
			case <-received:
			case <-done:
				return
			}
			cancel()
			if count == 2 {
				exit(Interrupted)
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		close(done)
		cancel()
	}
}
