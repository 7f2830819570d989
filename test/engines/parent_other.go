//go:build !linux

package engines

import (
	"os/exec"
	"syscall"
)

// dieWithParent keeps the Ctrl-C of the terminal from the process: its starter decides when it ends.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
