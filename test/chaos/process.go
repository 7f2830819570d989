package chaos

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// addresses are what a process says in its line "ready".
type addresses struct {
	Gateway, Kafka, Registry, ClickHouse string
}

// process is one part of the installation that runs the program, and runs it again after it was killed. Every method may be
// called in any state: killing what is dead or starting what runs does nothing.
type process struct {
	name    string
	command []string
	logs    string // folder of what it prints
	onReady func(addresses)

	mu     sync.Mutex
	life   *life   // nil before the first start
	deaths []error // ends that were not ours
}

// life is a process from its start to its end.
type life struct {
	cmd     *exec.Cmd
	ready   chan struct{}
	ended   chan struct{}
	err     error // how it ended, once ended is closed
	ordered bool  // the end was ours
}

func (l *life) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// start starts it unless it runs.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil && !p.life.over() {
		return nil
	}
	out, err := os.OpenFile(p.path(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	l := &life{ready: make(chan struct{}), ended: make(chan struct{})}
	//nolint:noctx // it is ended by signals of our choice
	l.cmd = exec.Command(p.command[0], p.command[1:]...)
	l.cmd.Env = append(os.Environ(), "GOMAXPROCS=2")
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	l.cmd.Stderr = out
	pipe, err := l.cmd.StdoutPipe()
	if err == nil {
		err = startMortal(l.cmd)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", p.name, err), out.Close())
	}
	p.life = l
	go p.follow(l, pipe, out)
	return nil
}

// follow keeps what the process prints, looks for the line that tells its addresses, and notes its end.
func (p *process) follow(l *life, pipe io.Reader, out *os.File) {
	defer out.Close()
	fmt.Fprintf(out, startMark+"%s as %d: %q\n", time.Now().Format(time.StampMilli), l.cmd.Process.Pid, p.command)
	lines := bufio.NewReader(pipe)
	announced := false
	for {
		text, err := lines.ReadBytes('\n')
		_, _ = out.Write(text)
		var line struct {
			Msg string
			addresses
		}
		if !announced && bytes.Contains(text, []byte(`"msg":"ready"`)) && json.Unmarshal(text, &line) == nil {
			announced = true
			if p.onReady != nil {
				p.onReady(line.addresses)
			}
			close(l.ready)
		}
		if err != nil {
			break
		}
	}
	l.err = l.cmd.Wait()
	fmt.Fprintf(out, "--- ended at %s: %v\n", time.Now().Format(time.StampMilli), l.err)
	p.mu.Lock()
	if !l.ordered {
		p.deaths = append(p.deaths, fmt.Errorf("%s ended by itself: %w", p.name, cmp.Or(l.err, errUnordered)))
	}
	p.mu.Unlock()
	close(l.ended)
}

// await returns when the process has said that it is ready.
func (p *process) await(ctx context.Context) error {
	l := p.current()
	if l == nil {
		return fmt.Errorf("%s was not started", p.name)
	}
	select {
	case <-l.ready:
		return nil
	case <-l.ended:
		return fmt.Errorf("%s ended before it was ready: %w", p.name, l.err)
	case <-ctx.Done():
		return fmt.Errorf("%s is not ready: %w", p.name, ctx.Err())
	}
}

// says returns when the process has printed a text since it was started last.
func (p *process) says(ctx context.Context, text string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := os.ReadFile(p.path())
		if err != nil {
			return err
		}
		if bytes.Contains(all[max(0, bytes.LastIndex(all, []byte(startMark))):], []byte(text)) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s has not said %q: %w", p.name, text, ctx.Err())
		}
	}
}

const startMark = "--- started at "

func (p *process) path() string { return filepath.Join(p.logs, p.name+".log") }

func (p *process) current() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.life
}

// order takes note that the process is about to end because we want it to, and returns it if it runs.
func (p *process) order() *life {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil || p.life.over() {
		return nil
	}
	p.life.ordered = true
	return p.life
}

// kill ends it, and the engine it may have as a child, as a power cut would. It returns when it has ended, and whether it ran.
func (p *process) kill() bool {
	l := p.order()
	if l == nil {
		return false
	}
	children := childrenOf(l.cmd.Process.Pid)
	_ = l.cmd.Process.Kill() // it may have ended meanwhile
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	<-l.ended
	return true
}

// childrenOf returns the process ids of a process's children.
func childrenOf(pid int) []int {
	//nolint:noctx // it answers at once
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(pid)).Output() // none is an error to pgrep
	var children []int
	for _, word := range bytes.Fields(out) {
		if child, err := strconv.Atoi(string(word)); err == nil {
			children = append(children, child)
		}
	}
	return children
}

// freeze stops it, without its children; thaw lets it go on as if no time had passed.
func (p *process) freeze() { p.signal(syscall.SIGSTOP) }
func (p *process) thaw()   { p.signal(syscall.SIGCONT) }

func (p *process) signal(s syscall.Signal) {
	if l := p.current(); l != nil && !l.over() {
		_ = l.cmd.Process.Signal(s) // it may have ended meanwhile
	}
}

// terminate asks it to end in good order, and kills it when it does not within the bound.
func (p *process) terminate(bound time.Duration) error {
	l := p.order()
	if l == nil {
		return nil
	}
	_ = l.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	_ = l.cmd.Process.Signal(syscall.SIGCONT)
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-l.ended:
		return nil
	case <-timer.C:
		p.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", p.name, bound)
	}
}

// died returns how it ended when nobody wanted it to, since the last time it was asked.
func (p *process) died() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	deaths := p.deaths
	p.deaths = nil
	return errors.Join(deaths...)
}

var errUnordered = errors.New("nobody asked it to")
