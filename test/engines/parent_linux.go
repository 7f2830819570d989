package engines

import (
	"os/exec"
	"syscall"
)

// dieWithParent lets the kernel kill the process when the thread that starts it ends. It gets no Ctrl-C of the terminal: its
// starter decides when it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
