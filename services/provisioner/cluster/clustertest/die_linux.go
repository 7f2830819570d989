//go:build kubernetes

package clustertest

import (
	"os/exec"
	"syscall"
)

// dieWithTest ends a program when the test's process ends, however that ends.
func dieWithTest(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
