package chaos

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter starts processes from one thread that lives as long as this process: the kernel kills them when it ends, however
// it ends. A test that is killed or panics leaves nothing running.
var starter = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// startMortal starts a command that ends with this process.
func startMortal(cmd *exec.Cmd) error {
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	return <-started
}
