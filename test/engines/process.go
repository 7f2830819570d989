package engines

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
)

// Process is one engine: a broker or the registry. Its methods may be called from any goroutine.
type Process struct {
	name    string // such as "broker 1", for errors
	dir     string // it runs in
	log     string // file that gets what it prints
	command []string

	mu    sync.Mutex
	run   *exec.Cmd
	ended chan struct{} // closed when run has ended; nil before the first start
}

// Start starts it, again with the data and addresses it had. It returns when the process runs, not when it answers.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return fmt.Errorf("start %s: it runs already", p.name)
	}
	log, err := os.OpenFile(p.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	defer log.Close()
	p.run = exec.CommandContext(context.Background(), p.command[0], p.command[1:]...) // it outlives the call
	p.run.Dir, p.run.Stdout, p.run.Stderr = p.dir, log, log
	dieWithParent(p.run)
	started := make(chan error)
	p.ended = make(chan struct{})
	go hold(p.run, started, p.ended)
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	return nil
}

// hold starts a process and waits for its end on one thread, because on Linux a child dies with the thread that started it.
func hold(cmd *exec.Cmd, started chan<- error, ended chan<- struct{}) {
	runtime.LockOSThread()
	defer close(ended)
	err := cmd.Start()
	started <- err
	if err == nil {
		_ = cmd.Wait() // a killed process always ends with an error
	}
}

func (p *Process) running() bool {
	if p.ended == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Running tells whether the process is there, paused or not.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

// Kill ends it as a power cut of its machine would (SIGKILL) and returns when it is gone. It is no error if it is gone already.
func (p *Process) Kill() error {
	err := p.signal(syscall.SIGKILL)
	if errors.Is(err, errNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	<-p.end()
	return nil
}

// Stop asks it to end in good order (SIGTERM), paused or not, and returns when it is gone, or an error when ctx ends first.
func (p *Process) Stop(ctx context.Context) error {
	if err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-p.end():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop %s: %w", p.name, ctx.Err())
	}
}

// Pause freezes it (SIGSTOP): its connections stay open and nothing answers.
func (p *Process) Pause() error { return p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on (SIGCONT), with everything it was about to do.
func (p *Process) Resume() error { return p.signal(syscall.SIGCONT) }

var errNotRunning = errors.New("it does not run")

func (p *Process) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return fmt.Errorf("%v to %s: %w", s, p.name, errNotRunning)
	}
	if err := p.run.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%v to %s: %w", s, p.name, err)
	}
	return nil
}

// end is closed when the process that runs now is gone.
func (p *Process) end() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

// LogTail returns the last lines of what it printed, of all its runs.
func (p *Process) LogTail(lines int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
